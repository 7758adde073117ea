/* An HTTP/1.1 client: so many connections, one request at a time on each, every latency kept.
 *
 * client PORT CONNECTIONS SECONDS FILE [RATE [OTHERS FILE FROM]]: FILE holds requests, each after its length in decimal and
 * a newline; they are sent in turn. OTHERS are further connections, from address FROM, with requests of their own, which
 * are never due but asked again as soon as they are answered; a connection of theirs that the server closes is opened anew.
 * Nobody waits for a request to be taken. Answers are taken by Content-Length, or by their last chunk.
 * Prints one JSON object; times in microseconds: quantiles of the answers that are 200, `bad` counts the others, whose p99
 * is `bad_p99`.
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
    char *requests[REQUESTS];
    int lengths[REQUESTS], count, next;
} script;

typedef struct {
    int fd, have, at, done;
    double sent;
    script *says;
    const char *from;
    char buffer[ROOM];
} caller;

static script usual, of_others;
static caller *callers[CONNECTIONS], *resting[CONNECTIONS];
static float *good, *others;
static size_t taken, bad, unsent;
static int free_now, port, set;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

static void watch(caller *c, int how, int events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(set, how, c->fd, &event)) fail("epoll_ctl");
}

static void open_caller(caller *c) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)}, own = {.sin_family = AF_INET};
    int one = 1;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->from && inet_pton(AF_INET, c->from, &own.sin_addr) != 1) fail(c->from);
    if (c->from && bind(c->fd, (void *)&own, sizeof own)) fail("bind");
    if (connect(c->fd, (void *)&place, sizeof place)) fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

/* Send as much of the request as is taken now; the rest when there is room. */
static void push(caller *c) {
    script *s = c->says;
    while (c->done < s->lengths[c->at]) {
        int n = send(c->fd, s->requests[c->at] + c->done, s->lengths[c->at] - c->done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) return; /* closed: its reading side says so */
        c->done += n;
    }
    if (c->says == &of_others) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void ask(caller *c, double due) {
    c->have = c->done = 0;
    c->sent = due;
    c->at = c->says->next++ % c->says->count;
    push(c);
}

static void ask_anew(caller *c, double due) {
    close(c->fd);
    open_caller(c);
    ask(c, due);
}

/* Return the status of an answer that is whole; 0 where it is not, -1 where the server closed. */
static int hear(caller *c) {
    int n = read(c->fd, c->buffer + c->have, ROOM - 1 - c->have);
    if (n <= 0 && c->says == &of_others) return -1;
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

static void read_script(script *s, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    while (s->count < REQUESTS && fscanf(file, "%d\n", &s->lengths[s->count]) == 1) {
        s->requests[s->count] = malloc(s->lengths[s->count]);
        if (fread(s->requests[s->count], 1, s->lengths[s->count], file) != (size_t)s->lengths[s->count]) fail(path);
        s->count++;
    }
    fclose(file);
}

static void connect_all(int first, int connections, const char *from, script *says) {
    if (first + connections > CONNECTIONS) fail("too many connections");
    for (int i = first; i < first + connections; i++) {
        caller *c = callers[i] = calloc(1, sizeof(caller));
        c->says = says;
        c->from = from;
        open_caller(c);
    }
}

int main(int argc, char **argv) {
    if (argc < 5 || argc == 7 || argc == 8 || argc > 9) return 1;
    int connections = atoi(argv[2]);
    port = atoi(argv[1]), set = epoll_create1(0);
    int others_count = argc > 6 ? atoi(argv[6]) : 0;
    double seconds = atof(argv[3]), rate = argc > 5 ? atof(argv[5]) : 0;
    read_script(&usual, argv[4]);
    if (others_count) read_script(&of_others, argv[7]);
    good = malloc(SAMPLES * sizeof *good);
    others = malloc(SAMPLES * sizeof *others);
    connect_all(0, connections, NULL, &usual);
    connect_all(connections, others_count, argc > 8 ? argv[8] : NULL, &of_others);
    double start = now(), end = start + seconds * 1e6, at = start, due = start;
    for (int i = 0; i < connections + others_count; i++)
        if (rate > 0 && i < connections) resting[free_now++] = callers[i];
        else ask(callers[i], now());
    struct epoll_event events[256];
    while ((at < end || (!taken && !bad && at < end + WAIT_US)) && taken + bad + 256 < SAMPLES) {
        for (; rate > 0 && due <= at; due += 1e6 / rate)
            if (free_now) ask(resting[--free_now], due);
            else unsent++;
        int ready = epoll_wait(set, events, 256, connections > 1 || rate > 0 ? 0 : 1000);
        for (int i = 0; i < ready; i++) {
            caller *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) push(c);
            if (!(events[i].events & ~EPOLLOUT)) continue;
            int status = hear(c);
            if (!status) continue;
            at = now();
            if (status > 0) keep(c, status, at);
            if (status < 0 || c->done < c->says->lengths[c->at]) ask_anew(c, now());
            else if (rate > 0 && c->says == &usual) resting[free_now++] = c;
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
