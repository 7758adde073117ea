/* A closed-loop HTTP/1.1 client: so many connections, one request at a time on each, every latency kept.
 *
 * client PORT CONNECTIONS SECONDS FILE: FILE holds requests, each after its length in decimal and a newline; they are
 * sent in turn. Answers are taken by Content-Length. Prints one JSON object; times in microseconds, uncorrected: a
 * closed loop asks again only when it was answered. With one connection it sleeps until it is answered, as a caller does;
 * with more it polls: what waking a sleeper costs (10 us in a virtual machine) would be charged to the server's sends.
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

enum { ROOM = 65536, REQUESTS = 4096, CONNECTIONS = 4096, SAMPLES = 8000000 };

typedef struct {
    int fd, have;
    double sent;
    char buffer[ROOM];
} caller;

static char *requests[REQUESTS];
static int lengths[REQUESTS], count, next;
static caller *callers[CONNECTIONS];
static float *samples;
static size_t taken, bad;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

static void ask(caller *c) {
    int at = next++ % count, done = 0;
    c->have = 0;
    c->sent = now();
    while (done < lengths[at]) {
        int n = write(c->fd, requests[at] + done, lengths[at] - done);
        if (n <= 0) fail("write");
        done += n;
    }
}

/* Return whether the answer is whole. */
static int hear(caller *c) {
    int n = read(c->fd, c->buffer + c->have, ROOM - 1 - c->have);
    if (n <= 0) fail("the server closed the connection");
    c->have += n;
    c->buffer[c->have] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->buffer, "content-length:");
    if (!length || length > end) fail("no content-length");
    if (c->buffer + c->have - (end + 4) < atol(length + 15)) return 0;
    bad += strncmp(c->buffer + 9, "200", 3) != 0;
    return 1;
}

static int order(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 5) return 1;
    int port = atoi(argv[1]), connections = atoi(argv[2]), one = 1, set = epoll_create1(0);
    double seconds = atof(argv[3]);
    FILE *file = fopen(argv[4], "rb");
    if (!file || connections > CONNECTIONS) fail(argv[4]);
    while (count < REQUESTS && fscanf(file, "%d\n", &lengths[count]) == 1) {
        requests[count] = malloc(lengths[count]);
        if (fread(requests[count], 1, lengths[count], file) != (size_t)lengths[count]) fail("short file");
        count++;
    }
    samples = malloc(SAMPLES * sizeof *samples);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < connections; i++) {
        caller *c = callers[i] = calloc(1, sizeof(caller));
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (void *)&place, sizeof place)) fail("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &event);
    }
    double start = now(), end = start + seconds * 1e6, at = start;
    for (int i = 0; i < connections; i++) ask(callers[i]);
    struct epoll_event events[256];
    while (at < end && taken < SAMPLES) {
        int ready = epoll_wait(set, events, 256, connections > 1 ? 0 : 1000);
        for (int i = 0; i < ready; i++) {
            caller *c = events[i].data.ptr;
            if (!hear(c)) continue;
            at = now();
            if (taken < SAMPLES) samples[taken++] = at - c->sent;
            ask(c);
        }
        if (!ready) at = now();
    }
    double elapsed = (at - start) / 1e6;
    if (!taken) fail("no answer");
    qsort(samples, taken, sizeof *samples, order);
    printf("{\"count\":%zu,\"per_s\":%.1f,\"p50\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.1f,\"bad\":%zu}\n", taken,
           taken / elapsed, samples[taken / 2], samples[(size_t)(taken * 0.99)], samples[(size_t)(taken * 0.999)],
           samples[taken - 1], bad);
    return 0;
}
