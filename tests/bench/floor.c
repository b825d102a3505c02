/* The least that any server on this machine pays: epoll, one read, one write, no parsing.

   floor ADDRESS keep-alive | close
   ADDRESS is 127.0.0.1:PORT or unix:PATH. Every read is taken for one whole request and is
   answered with the same hello; with "close" the connection ends after it. One process, one
   thread. It is a yardstick, not a server: whatever one read returns counts as a request. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 2048
#define EVENTS 512

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
    char request[16384];
    watch(poller, listener);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == listener) {
                int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (client >= 0) watch(poller, client);
                continue;
            }
            if (read(descriptor, request, sizeof request) <= 0 ||
                send(descriptor, answer, length, MSG_NOSIGNAL) < 0 || closes)
                close(descriptor);
        }
    }
}
