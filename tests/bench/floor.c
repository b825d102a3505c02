/* The least that any server on this machine pays: epoll, one read, one write, no parsing.

   floor ADDRESS keep-alive | close
   ADDRESS is 127.0.0.1:PORT or unix:PATH. Every head is taken to arrive in one read, and is answered
   with the same hello when its body, if it has a Content-Length, is there as well; with "close" the
   connection ends after it. One process, one thread. It is a yardstick, not a server: it looks for
   no more than where a request ends. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 2048
#define EVENTS 512
#define CONNECTIONS 65536 /* descriptors */
#define READ 65536

static size_t body_left[CONNECTIONS];

static const char KEEP_ALIVE[] =
    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: floor\r\n"
    "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
static const char CLOSE[] =
    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: floor\r\n"
    "Content-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHello, World!";

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(const char *address) {
    int listener;
    if (strncmp(address, "unix:", 5) == 0) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        snprintf(name.sun_path, sizeof name.sun_path, "%s", address + 5);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (bind(listener, (struct sockaddr *)&name, sizeof name)) die("floor: bind");
    } else {
        const char *colon = strrchr(address, ':');
        struct sockaddr_in name = {.sin_family = AF_INET,
                                   .sin_port = htons(colon ? atoi(colon + 1) : 0),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int one = 1;
        listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* inherited */
        if (bind(listener, (struct sockaddr *)&name, sizeof name)) die("floor: bind");
    }
    if (listen(listener, BACKLOG)) die("floor: listen");
    return listener;
}

static void watch(int poller, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event)) die("floor: epoll_ctl");
}

/* How many bytes of the body are still to come after a read that begins with a head. */
static size_t left_after(const char *request, size_t count) {
    if (request[0] == 'G') return 0; /* GET */
    const char *end = memmem(request, count, "\r\n\r\n", 4), *line = request;
    if (!end) return 0;
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((line[0] | 32) == 'c' && strncasecmp(line, "content-length:", 15) == 0) {
            size_t length = strtoul(line + 15, NULL, 10);
            size_t here = count - (size_t)(end + 4 - request);
            return length > here ? length - here : 0;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: floor ADDRESS keep-alive | close\n");
        return 2;
    }
    int closes = strcmp(argv[2], "close") == 0;
    const char *answer = closes ? CLOSE : KEEP_ALIVE;
    size_t length = strlen(answer);
    int listener = listen_on(argv[1]), poller = epoll_create1(0);
    struct epoll_event events[EVENTS];
    static char request[READ + 1];
    watch(poller, listener);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client >= CONNECTIONS) {
                    close(client);
                } else if (client >= 0) {
                    body_left[client] = 0;
                    watch(poller, client);
                }
                continue;
            }
            ssize_t count = read(descriptor, request, READ);
            if (count <= 0) {
                close(descriptor);
                continue;
            }
            size_t *left = &body_left[descriptor];
            request[count] = 0;
            if (*left)
                *left -= (size_t)count < *left ? (size_t)count : *left;
            else
                *left = left_after(request, (size_t)count);
            if (*left) continue;
            if (send(descriptor, answer, length, MSG_NOSIGNAL) < 0 || closes) close(descriptor);
        }
    }
}
