/* TCP on the loopback: one port of both families apart, options that servers ask for, a large write to a closed peer. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static union {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
} address;

static socklen_t set_address(int family, const char *text, int port) {
    memset(&address, 0, sizeof address);
    address.any.sa_family = family;
    if (family == AF_INET) {
        inet_pton(family, text, &address.four.sin_addr);
        address.four.sin_port = htons(port);
        return sizeof address.four;
    }
    inet_pton(family, text, &address.six.sin6_addr);
    address.six.sin6_port = htons(port);
    return sizeof address.six;
}

static int server(int family, const char *text, int port, int only) {
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    socklen_t length = set_address(family, text, port);
    int result = bind(fd, &address.any, length);
    printf("bind %s %s\n", text, result ? strerrorname_np(errno) : "well");
    if (result) {
        close(fd);
        return -1;
    }
    listen(fd, 5);
    return fd;
}

/* The other end of the last connection. */
static int peer = -1;

/* Connects, and tells which of two servers that reaches. */
static int client(int family, const char *text, int port, int one, int two) {
    int fd = socket(family, SOCK_STREAM, 0);
    if (connect(fd, &address.any, set_address(family, text, port)) < 0) {
        printf("connect %s %s\n", text, strerrorname_np(errno));
        close(fd);
        return -1;
    }
    int which = 1;
    peer = accept(one, NULL, NULL);
    if (peer < 0) {
        peer = accept(two, NULL, NULL);
        which = 2;
    }
    printf("connect %s reaches %d\n", text, peer < 0 ? 0 : which);
    return fd;
}

static int port_of(int fd) {
    socklen_t length = sizeof address;
    getsockname(fd, &address.any, &length);
    return ntohs(address.any.sa_family == AF_INET ? address.four.sin_port : address.six.sin6_port);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    int four = server(AF_INET, "0.0.0.0", 0, 0), port = port_of(four);
    server(AF_INET6, "::", port, 0);
    int six = server(AF_INET6, "::", port, 1);
    client(AF_INET, "127.0.0.1", port, four, six);
    client(AF_INET, "0.0.0.0", port, four, six);
    client(AF_INET6, "::1", port, four, six);
    client(AF_INET6, "::", port, four, six);
    client(AF_INET6, "::ffff:127.0.0.1", port, four, six);
    int both = server(AF_INET6, "::", 0, 0);
    client(AF_INET, "127.0.0.1", port_of(both), both, -1);
    client(AF_INET6, "::1", port_of(both), both, -1);
    int one = server(AF_INET, "127.0.0.1", 0, 0);
    client(AF_INET6, "::1", port_of(one), one, -1);
    int fd = client(AF_INET, "127.0.0.1", port_of(one), one, -1);

    char options[64];
    socklen_t length = sizeof options;
    int result = getsockopt(peer, IPPROTO_IP, IP_OPTIONS, options, &length);
    printf("options %d %u\n", result, length);
    struct ucred who;
    length = sizeof who;
    result = getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &length);
    printf("peer %d %d %d %d\n", result, who.pid, (int)who.uid, (int)who.gid);

    close(peer);
    static char data[1 << 20];
    struct iovec parts[64];
    for (int i = 0; i < 64; i++) parts[i] = (struct iovec){data, sizeof data};
    long sent = 0, got;
    while ((got = writev(fd, parts, 64)) > 0) sent += got;
    printf("closed peer: all sent %d, then %d\n", sent >= 64 << 20, errno == EPIPE || errno == ECONNRESET);
    return 0;
}
