/* The load that wrk cannot make: two kinds of request at a given rate, their latencies apart.

   load PORT CONNECTIONS SECONDS RATE FAST_PATH SLOW_PATH SLOW_PERCENT

   Requests arrive at RATE a second, at random times (a Poisson process), whatever the server
   does meanwhile: a request that finds every connection busy waits, and its latency counts from
   when it was due. With RATE 0 each connection sends its next request when the last is answered.
   The kinds alternate at random, the same way in every run. Prints one line of JSON, in
   microseconds. Responses need a Content-Length. 127.0.0.1 only, one thread. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024
#define MAX_REQUESTS 4000000
#define BUFFER 16384
#define DRAIN_US 2000000 /* how long the last responses may take */

enum kind { FAST, SLOW, KINDS };

struct connection {
    int descriptor, busy;
    enum kind kind;
    int64_t due;
    size_t filled;
    char buffer[BUFFER];
};
struct waiting {
    enum kind kind;
    int64_t due;
};

static struct connection connections[MAX_CONNECTIONS];
static struct waiting *queue;
static size_t queue_head, queue_tail;
static uint32_t *latencies[KINDS];
static size_t answered[KINDS], errors, sent;
static char requests[KINDS][512];
static struct sockaddr_in server;
static int poller;
static double slow_share;
static uint64_t state = 88172645463325252ull;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* xorshift64: uniform in (0, 1]. */
static double uniform(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((state >> 11) + 1) / 9007199254740992.0;
}

static enum kind next_kind(void) { return uniform() <= slow_share ? SLOW : FAST; }

static void open_connection(struct connection *c) {
    int one = 1;
    c->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->descriptor, (struct sockaddr *)&server, sizeof server)) die("load: connect");
    setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->descriptor, &event)) die("load: epoll_ctl");
    c->busy = 0;
    c->filled = 0;
}

static void send_request(struct connection *c, enum kind kind, int64_t due) {
    c->busy = 1;
    c->kind = kind;
    c->due = due;
    sent++;
    const char *text = requests[kind];
    if (send(c->descriptor, text, strlen(text), MSG_NOSIGNAL) < 0) {
        /* The server closed it while it was idle: once more on a new one. */
        close(c->descriptor);
        open_connection(c);
        c->busy = 1;
        if (send(c->descriptor, text, strlen(text), MSG_NOSIGNAL) < 0) die("load: send");
    }
}

/* What comes next on a connection that is free: what waits, or with no rate one more. */
static void next_request(struct connection *c, int closed_loop) {
    if (queue_head < queue_tail) {
        struct waiting *w = &queue[queue_head++];
        send_request(c, w->kind, w->due);
    } else if (closed_loop) {
        send_request(c, next_kind(), now_us());
    }
}

/* Whether the buffer holds a whole response; *closes says whether the server will hang up. */
static int is_complete(struct connection *c, int *closes) {
    c->buffer[c->filled] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->buffer, "\r\ncontent-length:");
    if (!length || length > end) return 0;
    size_t whole = (size_t)(end + 4 - c->buffer) + strtoul(length + 17, NULL, 10);
    char *close_field = strcasestr(c->buffer, "\r\nconnection: close");
    *closes = close_field && close_field < end;
    return c->filled >= whole;
}

static void receive(struct connection *c, int closed_loop) {
    ssize_t count = recv(c->descriptor, c->buffer + c->filled, BUFFER - 1 - c->filled, 0);
    int closes = 0;
    if (count <= 0) {
        errors += (size_t)c->busy;
        closes = 1;
    } else {
        c->filled += (size_t)count;
        if (!is_complete(c, &closes)) return;
        if (strncmp(c->buffer + 9, "200", 3) != 0) {
            errors++;
        } else if (answered[c->kind] < MAX_REQUESTS) {
            latencies[c->kind][answered[c->kind]++] = (uint32_t)(now_us() - c->due);
        }
        c->filled = 0;
        c->busy = 0;
    }
    if (closes) {
        close(c->descriptor);
        open_connection(c);
    }
    next_request(c, closed_loop);
}

static int compare(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static uint32_t percentile(enum kind kind, double share) {
    size_t count = answered[kind];
    if (count == 0) return 0;
    size_t rank = (size_t)ceil(share * (double)count);
    return latencies[kind][rank ? rank - 1 : 0];
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS RATE FAST SLOW SLOW_PERCENT\n");
        return 2;
    }
    int count = atoi(argv[2]);
    double seconds = atof(argv[3]), rate = atof(argv[4]);
    int closed_loop = rate <= 0;
    if (count < 1 || count > MAX_CONNECTIONS || rate * seconds > MAX_REQUESTS) return 2;
    server = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int kind = 0; kind < KINDS; kind++) {
        snprintf(requests[kind], sizeof requests[kind],
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[5 + kind], argv[1]);
        latencies[kind] = malloc(MAX_REQUESTS * sizeof **latencies);
    }
    slow_share = atof(argv[7]) / 100;
    queue = malloc(MAX_REQUESTS * sizeof *queue);
    poller = epoll_create1(0);
    prctl(PR_SET_TIMERSLACK, 1000); /* 1 µs instead of 50: arrivals in time */
    for (int i = 0; i < count; i++) open_connection(&connections[i]);

    int64_t began = now_us(), end = began + (int64_t)(seconds * 1e6), now = began;
    double arrival = (double)began;
    int turn = 0;
    if (closed_loop)
        for (int i = 0; i < count; i++) next_request(&connections[i], 1);
    for (;;) {
        now = now_us();
        size_t in_flight = sent - answered[FAST] - answered[SLOW] - errors;
        if (now >= end && (closed_loop || in_flight == 0 || now >= end + DRAIN_US)) break;
        while (!closed_loop && now < end && arrival <= (double)now) {
            queue[queue_tail++] = (struct waiting){next_kind(), (int64_t)arrival};
            arrival += -log(uniform()) * 1e6 / rate;
            for (int i = 0; i < count && queue_head < queue_tail; i++) {
                struct connection *c = &connections[turn];
                turn = (turn + 1) % count;
                if (!c->busy) next_request(c, 0);
            }
        }
        double wait_us = now >= end || closed_loop ? 10000 : arrival - (double)now;
        if (wait_us < 0) wait_us = 0;
        struct timespec wait = {(time_t)(wait_us / 1e6), (long)fmod(wait_us, 1e6) * 1000};
        struct epoll_event events[256];
        int ready = epoll_pwait2(poller, events, 256, &wait, NULL);
        if (ready < 0 && errno != EINTR) die("load: epoll_pwait2");
        for (int i = 0; i < ready; i++) receive(events[i].data.ptr, closed_loop && now < end);
    }
    size_t unanswered =
        closed_loop ? 0 : sent - answered[FAST] - answered[SLOW] - errors + queue_tail - queue_head;
    for (int kind = 0; kind < KINDS; kind++)
        qsort(latencies[kind], answered[kind], sizeof **latencies, compare);
    printf("RESULT {\"seconds\":%.6f,\"errors\":%zu,\"fast\":%zu,\"fast_p50_us\":%u,"
           "\"fast_p99_us\":%u,\"slow\":%zu,\"slow_p50_us\":%u,\"slow_p99_us\":%u}\n",
           (double)(now - began) / 1e6, errors + unanswered, answered[FAST], percentile(FAST, .5),
           percentile(FAST, .99), answered[SLOW], percentile(SLOW, .5), percentile(SLOW, .99));
    return 0;
}
