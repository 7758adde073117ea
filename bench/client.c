/* An HTTP/1.1 client: so many connections, one request at a time on each, every latency kept.
 *
 * client PORT CONNECTIONS SECONDS FILE [RATE [FROM]]: FILE holds requests, each after its length in decimal and a newline;
 * they are sent in turn, from address FROM. Answers are taken by Content-Length, or by their last chunk. Prints one JSON object; times in
 * microseconds: quantiles of the answers that are 200, `bad` counts the others, whose p99 is `bad_p99`.
 * Without RATE (or at 0) the loop is closed: a connection asks again only when it was answered, times are uncorrected. With
 * one connection it sleeps until it is answered, as a caller does; with more it polls: what waking a sleeper costs (10 us
 * in a virtual machine) would be charged to the server's sends.
 * With RATE the loop is open: so many a second fall due, each timed from when it was due; one that finds no connection
 * free is not sent, and counted as `unsent`. The first answer is waited for, a minute at most.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 65536, REQUESTS = 4096, CONNECTIONS = 4096, SAMPLES = 8000000, WAIT_US = 60000000 };

typedef struct {
    int fd, have;
    double sent;
    char buffer[ROOM];
} caller;

static char *requests[REQUESTS];
static int lengths[REQUESTS], count, next;
static caller *callers[CONNECTIONS], *resting[CONNECTIONS];
static float *good, *others;
static size_t taken, bad, unsent;
static int free_now;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

static void ask(caller *c, double due) {
    int at = next++ % count, done = 0;
    c->have = 0;
    c->sent = due;
    while (done < lengths[at]) {
        int n = write(c->fd, requests[at] + done, lengths[at] - done);
        if (n <= 0) fail("write");
        done += n;
    }
}

/* Return the status of an answer that is whole; 0 where it is not. */
static int hear(caller *c) {
    int n = read(c->fd, c->buffer + c->have, ROOM - 1 - c->have);
    if (n <= 0) fail("the server closed the connection");
    c->have += n;
    c->buffer[c->have] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->buffer, "content-length:");
    if (length && length < end) {
        if (c->buffer + c->have - (end + 4) < atol(length + 15)) return 0;
    } else if (!strcasestr(c->buffer, "transfer-encoding: chunked")) {
        fail("neither content-length nor chunks");
    } else if (c->have < 5 || memcmp(c->buffer + c->have - 5, "0\r\n\r\n", 5)) {
        return 0;
    }
    return atoi(c->buffer + 9);
}

static int order(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void keep(caller *c, int status, double at) {
    float took = at - c->sent;
    if (status == 200) good[taken++] = took;
    else others[bad++] = took;
}

static float quantile(const float *ordered, size_t n, double share) { return n ? ordered[(size_t)(n * share)] : 0; }

static void connect_all(int port, int connections, const char *from, int set) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)}, own = {.sin_family = AF_INET};
    int one = 1;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < connections; i++) {
        caller *c = callers[i] = calloc(1, sizeof(caller));
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (from && inet_pton(AF_INET, from, &own.sin_addr) != 1) fail(from);
        if (from && bind(c->fd, (void *)&own, sizeof own)) fail("bind");
        if (connect(c->fd, (void *)&place, sizeof place)) fail("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &event);
    }
}

int main(int argc, char **argv) {
    if (argc < 5 || argc > 7) return 1;
    int port = atoi(argv[1]), connections = atoi(argv[2]), set = epoll_create1(0);
    double seconds = atof(argv[3]), rate = argc > 5 ? atof(argv[5]) : 0;
    FILE *file = fopen(argv[4], "rb");
    if (!file || connections > CONNECTIONS) fail(argv[4]);
    while (count < REQUESTS && fscanf(file, "%d\n", &lengths[count]) == 1) {
        requests[count] = malloc(lengths[count]);
        if (fread(requests[count], 1, lengths[count], file) != (size_t)lengths[count]) fail("short file");
        count++;
    }
    good = malloc(SAMPLES * sizeof *good);
    others = malloc(SAMPLES * sizeof *others);
    connect_all(port, connections, argc > 6 ? argv[6] : NULL, set);
    double start = now(), end = start + seconds * 1e6, at = start, due = start;
    for (int i = 0; i < connections; i++)
        if (rate > 0) resting[free_now++] = callers[i];
        else ask(callers[i], now());
    struct epoll_event events[256];
    while ((at < end || (!taken && !bad && at < end + WAIT_US)) && taken + bad + 256 < SAMPLES) {
        for (; rate > 0 && due <= at; due += 1e6 / rate)
            if (free_now) ask(resting[--free_now], due);
            else unsent++;
        int ready = epoll_wait(set, events, 256, connections > 1 || rate > 0 ? 0 : 1000);
        for (int i = 0; i < ready; i++) {
            caller *c = events[i].data.ptr;
            int status = hear(c);
            if (!status) continue;
            at = now();
            keep(c, status, at);
            if (rate > 0) resting[free_now++] = c;
            else ask(c, now());
        }
        if (!ready) at = now();
    }
    double elapsed = (at - start) / 1e6;
    if (!taken && !bad) fail("no answer");
    qsort(good, taken, sizeof *good, order);
    qsort(others, bad, sizeof *others, order);
    printf("{\"count\":%zu,\"per_s\":%.1f,\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.1f,", taken,
           taken / elapsed, quantile(good, taken, 0.5), quantile(good, taken, 0.99), quantile(good, taken, 0.999),
           taken ? good[taken - 1] : 0);
    printf("\"bad\":%zu,\"bad_p99\":%.2f,\"unsent\":%zu}\n", bad, quantile(others, bad, 0.99), unsent);
    return 0;
}
