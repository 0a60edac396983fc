/* Pipes, sockets, events, timers, memory files. */
#include "fuzz.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static void do_pipe(void)
{
    int fds[2] = {-1, -1}, flags = O_NONBLOCK | some(O_CLOEXEC);
    tell(pipe2(fds, flags));
    say(" %d %d", fds[0], fds[1]);
    opened(fds[0]), opened(fds[1]);
}

static void do_socketpair(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW};
    int fds[2] = {-1, -1}, type = PICK(types);
    say(" %d", type);
    tell(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds));
    say(" %d %d", fds[0], fds[1]);
    opened(fds[0]), opened(fds[1]);
}

static void do_eventfd(void)
{
    unsigned value = rnd(10), flags = EFD_NONBLOCK | some(EFD_SEMAPHORE | EFD_CLOEXEC);
    say(" %u %x", value, flags);
    opened(tell(eventfd(value, flags)));
}

static void do_event(void)
{
    uint64_t value = once_in(5) ? ~0ull - rnd(2) : rnd(100);
    int fd = descriptor();
    struct stat st;
    say(" %d", fd);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return;
    if (rnd(2))
        say(" write %llx", (unsigned long long)value), tell(write(fd, &value, 8));
    else
        say(" read"), tell_bytes(&value, tell(read(fd, &value, 8)));
}

static void do_timerfd(void)
{
    struct itimerspec far = {{0, 0}, {100000, 0}}, old;
    int fd = descriptor();
    if (once_in(2)) {
        opened(tell(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)));
        return;
    }
    say(" %d", fd);
    tell(timerfd_settime(fd, some(3), &far, &old));
    say(" get"), tell(timerfd_gettime(fd, &old));
}

static void do_memfd(void) { opened(tell(memfd_create("m", rnd(4) ? MFD_ALLOW_SEALING : 0))); }

static void do_seals(void)
{
    int fd = descriptor(), seals = 1 << rnd(6);
    say(" %d %x", fd, seals);
    if (once_in(3))
        tell(fcntl(fd, F_ADD_SEALS, seals));
    say(" get"), tell(fcntl(fd, F_GET_SEALS));
}

static void do_poll(void)
{
    struct pollfd fds[3];
    for (int i = 0; i < 3; i++) {
        static const short events[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, POLLIN | POLLRDHUP | POLLPRI, 0};
        fds[i] = (struct pollfd){descriptor(), PICK(events), 0};
        say(" %d:%x", fds[i].fd, fds[i].events);
    }
    tell(poll(fds, 3, 0));
    say(" %x %x %x", fds[0].revents, fds[1].revents, fds[2].revents);
}

static void do_select(void)
{
    fd_set reads, writes;
    struct timeval none = {0, 0};
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    int a = 3 + rnd(10), b = 3 + rnd(10);
    FD_SET(a, &reads);
    FD_SET(b, &writes);
    say(" %d %d", a, b);
    if (tell(select(16, &reads, &writes, NULL, &none)) >= 0)
        say(" %d %d", !!FD_ISSET(a, &reads), !!FD_ISSET(b, &writes));
}

static void do_epoll(void)
{
    opened(tell(epoll_create1(some(EPOLL_CLOEXEC))));
}

static void do_epoll_ctl(void)
{
    static const int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};
    int epoll = descriptor(), fd = descriptor(), operation = PICK(operations);
    struct epoll_event event = {.events = some(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET | EPOLLONESHOT), .data.u32 = fd};
    say(" %d %d %d %x", epoll, operation, fd, event.events);
    tell(epoll_ctl(epoll, operation, fd, &event));
}

static void do_epoll_wait(void)
{
    struct epoll_event events[8];
    int epoll = descriptor(), masks[DESCRIPTORS] = {0};
    say(" %d", epoll);
    long n = tell(epoll_wait(epoll, events, 8, 0));
    /* Their order is not defined. */
    for (long i = 0; i < n; i++)
        if (events[i].data.u32 < DESCRIPTORS)
            masks[events[i].data.u32] |= events[i].events;
    for (int i = 0; i < DESCRIPTORS; i++)
        if (masks[i])
            say(" %d:%x", i, masks[i]);
}

static void do_send(void)
{
    unsigned len;
    char *data = bytes(1500, &len);
    int fd = descriptor(), flags = MSG_DONTWAIT | some(MSG_NOSIGNAL | MSG_EOR);
    say(" %d %u %x", fd, len, flags);
    tell(send(fd, data, len, flags));
}

static void do_recv(void)
{
    int fd = descriptor(), flags = MSG_DONTWAIT | some(MSG_PEEK | MSG_TRUNC);
    unsigned len = rnd(2000);
    say(" %d %u %x", fd, len, flags);
    long n = tell(recv(fd, buffer, len, flags));
    if (n > 0)
        tell_bytes(buffer, n < len ? n : len);
}

static void do_sendmsg(void)
{
    char text[] = "with", room[CMSG_SPACE(sizeof(int))];
    struct iovec part = {text, rnd(5)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    int fd = descriptor(), sent = descriptor();
    *control = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(control), &sent, sizeof sent);
    say(" %d %d %zu", fd, sent, part.iov_len);
    tell(sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static void do_recvmsg(void)
{
    char room[CMSG_SPACE(sizeof(int))];
    struct iovec part = {buffer, 3 + rnd(100)};
    struct sockaddr_un from;
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = rnd(4) ? sizeof room : 0};
    int fd = descriptor(), got;
    say(" %d", fd);
    if (tell(recvmsg(fd, &message, MSG_DONTWAIT | (rnd(2) ? MSG_CMSG_CLOEXEC : 0))) < 0)
        return;
    say(" flags %x from %u control %zu", message.msg_flags, message.msg_namelen, message.msg_controllen);
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    if (control && control->cmsg_type == SCM_RIGHTS) {
        memcpy(&got, CMSG_DATA(control), sizeof got);
        say(" got %d", got);
        opened(got);
    }
}

static struct sockaddr_un address(socklen_t *len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "s%u", rnd(3));
    *len = sizeof(sa_family_t) + 3;
    return address;
}

static void do_socket(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int type = PICK(types);
    say(" %d", type);
    opened(tell(socket(AF_UNIX, type | SOCK_NONBLOCK, 0)));
}

static void do_names(void)
{
    socklen_t len;
    struct sockaddr_un to = address(&len);
    int fd = descriptor();
    say(" %d %s", fd, to.sun_path);
    switch (rnd(6)) {
    case 0: case 1: say(" bind"), tell(bind(fd, (void *)&to, len)); break;
    case 2: say(" listen"), tell(listen(fd, rnd(4))); break;
    case 3: say(" connect"), tell(connect(fd, (void *)&to, len)); break;
    case 4: say(" accept"), opened(tell(accept4(fd, NULL, NULL, SOCK_NONBLOCK))); break;
    default:
        say(" getsockname"), len = sizeof to;
        if (tell(getsockname(fd, (void *)&to, &len)) == 0)
            say(" %u", len);
    }
}

static void do_shutdown(void)
{
    int fd = descriptor(), how = rnd(4);
    say(" %d %d", fd, how);
    tell(shutdown(fd, how));
}

static void do_sockopt(void)
{
    static const int options[] = {SO_TYPE, SO_ERROR, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_PASSCRED, SO_REUSEADDR, SO_KEEPALIVE, SO_LINGER, 999};
    int fd = descriptor(), option = PICK(options), value[2] = {0};
    socklen_t len = sizeof value;
    say(" %d %d", fd, option);
    if (once_in(4))
        value[0] = 1, say(" set"), tell(setsockopt(fd, SOL_SOCKET, option, value, 4));
    else if (tell(getsockopt(fd, SOL_SOCKET, option, value, &len)) == 0)
        say(" %d len %u", value[0], len);
}

static void do_inotify(void)
{
    int fd = descriptor();
    const char *path = name();
    switch (rnd(3)) {
    case 0: opened(tell(inotify_init1(IN_NONBLOCK))); break;
    case 1: say(" %d %s", fd, path), tell(inotify_add_watch(fd, path, some(IN_ALL_EVENTS) | IN_CREATE)); break;
    default: {
        say(" %d", fd);
        long n = tell(read(fd, buffer, BUFFER));
        struct stat st;
        if (n < 16 || n == 128 || fstat(fd, &st) != 0 || S_IFMT & st.st_mode)
            return;
        for (long i = 0; i + 16 <= n;) {
            struct inotify_event *event = (struct inotify_event *)(buffer + i);
            if (event->len > 300)
                return;
            say(" %d:%x:%s", event->wd, event->mask, event->len ? event->name : "");
            i += 16 + event->len;
        }
    }
    }
}

static void do_tee(void)
{
    int in = descriptor(), out = descriptor();
    say(" %d %d", in, out);
    tell(tee(in, out, rnd(1000), SPLICE_F_NONBLOCK));
}

const struct call channel_calls[] = {
    {"pipe", do_pipe, 4},           {"socketpair", do_socketpair, 4}, {"eventfd", do_eventfd, 2},   {"event", do_event, 3},
    {"timerfd", do_timerfd, 2},     {"memfd", do_memfd, 2},           {"seals", do_seals, 3},       {"poll", do_poll, 4},
    {"select", do_select, 2},       {"epoll", do_epoll, 2},           {"epoll_ctl", do_epoll_ctl, 6}, {"epoll_wait", do_epoll_wait, 4},
    {"send", do_send, 4},           {"recv", do_recv, 4},             {"sendmsg", do_sendmsg, 3},   {"recvmsg", do_recvmsg, 3},
    {"socket", do_socket, 2},       {"names", do_names, 5},           {"shutdown", do_shutdown, 1}, {"sockopt", do_sockopt, 3},
    {"inotify", do_inotify, 4},     {"tee", do_tee, 1},               {NULL, NULL, 0},
};
