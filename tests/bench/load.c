/* The load: replays a population of requests, as fast as they are answered or at a given rate.

   load ADDRESS CONNECTIONS SECONDS RATE FIRST FILE [APART]

   ADDRESS is 127.0.0.1:PORT or unix:PATH. FILE holds records, each a length of 4 bytes, big-endian,
   and the bytes of one request; they are sent in the file's order, from number FIRST on, and again
   from the beginning after the last. Nothing is put together while it runs.

   With RATE 0 each connection sends its next request when the last is answered. Otherwise requests
   arrive RATE times a second, at random times (a Poisson process), whatever the server does
   meanwhile: a request that finds every connection busy waits, and its latency counts from when it
   was due. The latencies of GET requests for the target APART are counted apart.

   What was sent in SECONDS is awaited beyond them: else a server's work on it would count for no
   request, or for those of the next load.

   Prints one line of JSON, times in microseconds. An error is a status from 400 up, a connection
   that ends within a response, and bytes after a response that nobody asked for. One thread. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024
#define MAX_REQUESTS 16000000
#define BUFFER 65536     /* a response's head, and as much of its body as one read brings */
#define DRAIN_US 2000000 /* how long the last responses may take */

enum kind { USUAL, APART, KINDS };
enum reading { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, UNTIL_CLOSE };

struct record {
    const char *bytes;
    uint32_t length;
    uint8_t kind, asks_head;
};
struct connection {
    int descriptor, busy, closes, status;
    const struct record *record;
    int64_t due;
    enum reading reading;
    uint64_t left; /* of the body, or of the chunk */
    size_t line;   /* length of the line so far: of the trailer, or past a chunk's size */
    size_t filled; /* of the buffer */
    size_t gone;   /* of the request */
    int is_stuck;  /* the rest of the request waits until the server reads */
    char buffer[BUFFER];
};

static struct connection connections[MAX_CONNECTIONS];
static struct record *records;
static size_t record_count, next_record;
static int64_t *queue; /* when the requests that wait were due */
static size_t queue_head, queue_tail;
static uint32_t *latencies[KINDS];
static size_t answered[KINDS], sent, received;
static size_t responses, refused, lost, excess; /* lost: requests without a whole response */
static struct sockaddr_storage server;
static socklen_t server_length;
static int poller, closed_loop;
static uint64_t state = 88172645463325252ull;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void refuse(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(2);
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

static void read_population(const char *path, const char *apart) {
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status)) die(path);
    size_t size = (size_t)status.st_size, place = 0, room = 0;
    const char *bytes =
        size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0) : NULL;
    if (bytes == MAP_FAILED) die(path);
    char line[1024];
    size_t line_length = 0;
    if (apart) line_length = (size_t)snprintf(line, sizeof line, "GET %s ", apart);
    while (place < size) {
        if (size - place < 4) refuse("the population ends within a length");
        uint32_t length;
        memcpy(&length, bytes + place, 4);
        length = ntohl(length);
        place += 4;
        if (length < 16 || length > size - place) refuse("a record's length cannot be right");
        if (record_count == room) {
            room = room ? room * 2 : 65536;
            records = realloc(records, room * sizeof *records);
            if (!records) die("load: memory");
        }
        const char *request = bytes + place;
        int is_apart = apart && length > line_length && !memcmp(request, line, line_length);
        records[record_count++] = (struct record){
            request, length, is_apart ? APART : USUAL, !memcmp(request, "HEAD ", 5)};
        place += length;
    }
    if (!record_count) refuse("the population is empty");
}

static void find_server(const char *address) {
    if (strncmp(address, "unix:", 5) == 0) {
        struct sockaddr_un *name = (struct sockaddr_un *)&server;
        name->sun_family = AF_UNIX;
        snprintf(name->sun_path, sizeof name->sun_path, "%s", address + 5);
        server_length = sizeof *name;
    } else {
        const char *colon = strrchr(address, ':');
        struct sockaddr_in *name = (struct sockaddr_in *)&server;
        name->sin_family = AF_INET;
        name->sin_port = htons((uint16_t)(colon ? atoi(colon + 1) : 0));
        name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        server_length = sizeof *name;
    }
}

static void open_connection(struct connection *c) {
    int one = 1;
    c->descriptor = socket(server.ss_family, SOCK_STREAM, 0);
    if (connect(c->descriptor, (struct sockaddr *)&server, server_length)) die("load: connect");
    if (server.ss_family == AF_INET)
        setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->descriptor, &event)) die("load: epoll_ctl");
    c->busy = c->is_stuck = 0;
    c->filled = c->gone = 0;
}

static void reopen(struct connection *c) {
    close(c->descriptor);
    open_connection(c);
}

/* Sends what is left of the request, as far as the server takes it; returns whether it still can. */
static int send_rest(struct connection *c) {
    const struct record *record = c->record;
    while (c->gone < record->length) {
        ssize_t count = send(c->descriptor, record->bytes + c->gone, record->length - c->gone,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN) return 0;
        if (count < 0) break;
        c->gone += (size_t)count;
    }
    int is_stuck = c->gone < record->length;
    if (is_stuck != c->is_stuck) {
        struct epoll_event event = {.events = EPOLLIN | (is_stuck ? EPOLLOUT : 0), .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_MOD, c->descriptor, &event)) die("load: epoll_ctl");
        c->is_stuck = is_stuck;
    }
    return 1;
}

static void send_request(struct connection *c, int64_t due) {
    c->record = &records[next_record];
    next_record = (next_record + 1) % record_count;
    c->due = due;
    c->reading = HEAD;
    c->gone = 0;
    sent++;
    if (!send_rest(c)) {
        /* The server closed it while it was idle: once more on a new one. */
        reopen(c);
        if (!send_rest(c)) die("load: send");
    }
    c->busy = 1;
}

/* What comes next on a connection that is free: what waits, or with no rate one more. */
static void next_request(struct connection *c) {
    if (queue_head < queue_tail)
        send_request(c, queue[queue_head++]);
    else if (closed_loop)
        send_request(c, now_us());
}

/* The value of a field of the head that ends at `end`; NULL where it has none. */
static const char *field(const char *head, const char *end, const char *name) {
    size_t length = strlen(name);
    for (const char *line = head; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;) {
        line++;
        if (end - line <= (ptrdiff_t)length) return NULL;
        if (line[length] == ':' && strncasecmp(line, name, length) == 0) {
            const char *value = line + length + 1;
            while (*value == ' ' || *value == '\t') value++;
            return value;
        }
    }
    return NULL;
}

/* Reads a whole head (RFC 9112 §6.3); returns the bytes that it takes, 0 where it goes on. */
static size_t read_head(struct connection *c) {
    char *end = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
    if (!end) return 0;
    end += 2;
    const char *length, *value;
    c->status = c->filled > 12 ? atoi(c->buffer + 9) : 0;
    c->closes = c->buffer[7] == '0';
    if ((value = field(c->buffer, end, "connection")) != NULL) {
        if (strncasecmp(value, "close", 5) == 0) c->closes = 1;
        if (strncasecmp(value, "keep-alive", 10) == 0) c->closes = 0;
    }
    if (c->record->asks_head || c->status == 304 || c->status == 204) {
        c->reading = LENGTH;
        c->left = 0;
    } else if ((value = field(c->buffer, end, "transfer-encoding")) != NULL &&
               strncasecmp(value, "chunked", 7) == 0) {
        c->reading = CHUNK_SIZE;
        c->left = c->line = 0;
    } else if ((length = field(c->buffer, end, "content-length")) != NULL) {
        c->reading = LENGTH;
        c->left = strtoull(length, NULL, 10);
    } else {
        c->reading = UNTIL_CLOSE;
        c->closes = 1;
    }
    return (size_t)(end + 2 - c->buffer);
}

/* Reads the chunked coding (RFC 9112 §7.1); returns the bytes taken, sets `whole` at its end. */
static size_t read_chunks(struct connection *c, const char *bytes, size_t count, int *whole) {
    size_t place = 0;
    while (place < count) {
        char byte = bytes[place];
        if (c->reading == CHUNK_DATA) {
            size_t part = count - place < c->left ? count - place : (size_t)c->left;
            c->left -= part;
            place += part;
            if (c->left == 0) c->reading = CHUNK_END;
            continue;
        }
        place++;
        if (c->reading == CHUNK_SIZE) {
            if (byte == '\n') {
                c->line = 0;
                c->reading = c->left ? CHUNK_DATA : TRAILER;
            } else if (!isxdigit((unsigned char)byte)) {
                c->line = 1; /* an extension may follow: it is no part of the size */
            } else if (c->line == 0) {
                int digit = byte <= '9' ? byte - '0' : (byte | 32) - 'a' + 10;
                c->left = c->left * 16 + (uint64_t)digit;
            }
        } else if (c->reading == CHUNK_END) {
            c->line = 0;
            if (byte == '\n') c->reading = CHUNK_SIZE;
        } else if (byte == '\n') { /* TRAILER */
            if (c->line == 0) {
                *whole = 1;
                break;
            }
            c->line = 0;
        } else if (byte != '\r') {
            c->line++;
        }
    }
    return place;
}

/* Takes what is in the buffer; returns whether the response is whole. */
static int take(struct connection *c) {
    size_t taken = 0;
    int whole = 0;
    if (c->reading == HEAD) {
        taken = read_head(c);
        if (!taken) return 0;
    }
    if (c->reading == LENGTH) {
        size_t part = c->filled - taken < c->left ? c->filled - taken : (size_t)c->left;
        c->left -= part;
        taken += part;
        whole = c->left == 0;
    } else if (c->reading == UNTIL_CLOSE) {
        taken = c->filled;
    } else {
        taken += read_chunks(c, c->buffer + taken, c->filled - taken, &whole);
    }
    if (whole && taken < c->filled) { /* what nobody asked for */
        excess++;
        c->closes = 1;
    }
    c->filled = 0;
    return whole;
}

static void is_answered(struct connection *c) {
    enum kind kind = c->record->kind;
    c->busy = 0;
    responses++;
    if (c->status < 200 || c->status >= 400)
        refused++;
    else if (answered[kind] < MAX_REQUESTS)
        latencies[kind][answered[kind]++] = (uint32_t)(now_us() - c->due);
}

static void handle(struct connection *c, uint32_t events, int goes_on) {
    if (events & EPOLLOUT && !send_rest(c)) events |= EPOLLIN; /* which says how it ended */
    if (!(events & ~(uint32_t)EPOLLOUT)) return;
    ssize_t count = recv(c->descriptor, c->buffer + c->filled, BUFFER - c->filled, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        if (c->busy && count == 0 && c->reading == UNTIL_CLOSE)
            is_answered(c);
        else
            lost += (size_t)c->busy;
        reopen(c);
    } else {
        received += (size_t)count;
        c->filled += (size_t)count;
        if (!c->busy) { /* bytes that nobody asked for */
            excess++;
            reopen(c);
        } else {
            if (!take(c)) {
                if (c->filled < BUFFER) return;
                lost++; /* a head that long is none */
                c->closes = 1;
            } else {
                is_answered(c);
            }
            if (c->closes || c->is_stuck) reopen(c);
        }
    }
    if (goes_on || queue_head < queue_tail) next_request(c);
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
    if (argc != 7 && argc != 8) refuse("ADDRESS CONNECTIONS SECONDS RATE FIRST FILE [APART]");
    int count = atoi(argv[2]);
    double seconds = atof(argv[3]), rate = atof(argv[4]);
    closed_loop = rate <= 0;
    if (count < 1 || count > MAX_CONNECTIONS) refuse("so many connections are not possible");
    if (rate * seconds > MAX_REQUESTS) refuse("so many requests are not possible");
    find_server(argv[1]);
    read_population(argv[6], argc == 8 ? argv[7] : NULL);
    next_record = strtoull(argv[5], NULL, 10) % record_count;
    for (int kind = 0; kind < KINDS; kind++)
        latencies[kind] = malloc(MAX_REQUESTS * sizeof **latencies);
    queue = malloc(MAX_REQUESTS * sizeof *queue);
    poller = epoll_create1(0);
    prctl(PR_SET_TIMERSLACK, 1000); /* 1 µs instead of 50: arrivals in time */
    for (int i = 0; i < count; i++) open_connection(&connections[i]);

    int64_t began = now_us(), end = began + (int64_t)(seconds * 1e6), now = began;
    int64_t ended = 0;
    size_t in_time = 0;
    double arrival = (double)began;
    int turn = 0;
    if (closed_loop)
        for (int i = 0; i < count; i++) next_request(&connections[i]);
    for (;;) {
        now = now_us();
        size_t under_way = sent - responses - lost + queue_tail - queue_head;
        if (now >= end) {
            if (!ended) in_time = responses, ended = now;
            if (under_way == 0 || now >= end + DRAIN_US) break;
        }
        while (!closed_loop && now < end && arrival <= (double)now) {
            queue[queue_tail++] = (int64_t)arrival;
            arrival += -log(uniform()) * 1e6 / rate;
            for (int i = 0; i < count && queue_head < queue_tail; i++) {
                struct connection *c = &connections[turn];
                turn = (turn + 1) % count;
                if (!c->busy) next_request(c);
            }
        }
        double wait_us = now >= end || closed_loop ? 10000 : arrival - (double)now;
        if (wait_us < 0) wait_us = 0;
        struct timespec wait = {(time_t)(wait_us / 1e6), (long)fmod(wait_us, 1e6) * 1000};
        struct epoll_event events[256];
        int ready = epoll_pwait2(poller, events, 256, &wait, NULL);
        if (ready < 0 && errno != EINTR) die("load: epoll_pwait2");
        for (int i = 0; i < ready; i++)
            handle(events[i].data.ptr, events[i].events, closed_loop && now < end);
    }
    size_t unanswered = sent - responses - lost + queue_tail - queue_head;
    for (int kind = 0; kind < KINDS; kind++)
        qsort(latencies[kind], answered[kind], sizeof **latencies, compare);
    printf("RESULT {\"requests\":%zu,\"in_time\":%zu,\"seconds\":%.6f,\"bytes\":%zu,", responses, in_time,
           (double)(ended - began) / 1e6, received);
    printf("\"errors\":%zu,\"sent\":%zu,\"p50_us\":%u,\"p99_us\":%u,",
           refused + lost + excess + unanswered, sent, percentile(USUAL, .5),
           percentile(USUAL, .99));
    printf("\"apart\":%zu,\"apart_p50_us\":%u,\"apart_p99_us\":%u}\n", answered[APART],
           percentile(APART, .5), percentile(APART, .99));
    return 0;
}
