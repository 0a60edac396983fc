/* AF_UNIX: a descriptor and credentials over a socket pair; epoll with an eventfd, a timerfd and a pipe. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void send_fd(int socket, int fd) {
    char byte = 'x', control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    sendmsg(socket, &m, 0);
}

static int receive_fd(int socket) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(socket, &m, 0) != 1) return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

int main(void) {
    int pair[2], p[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    pipe(p);
    if (fork() == 0) {
        close(p[0]);
        send_fd(pair[1], p[1]);
        _exit(0);
    }
    close(p[1]);
    int fd = receive_fd(pair[0]);
    wait(NULL);
    write(fd, "through", 7);
    close(fd);
    char buf[32] = {0};
    printf("%zd %s\n", read(p[0], buf, sizeof buf), buf);
    printf("end %zd\n", read(p[0], buf, sizeof buf));

    int epoll = epoll_create1(0), event = eventfd(0, EFD_NONBLOCK), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = 1};
    epoll_ctl(epoll, EPOLL_CTL_ADD, event, &e);
    e.data.u32 = 2;
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e);
    printf("nothing %d\n", epoll_wait(epoll, &e, 1, 0));
    struct itimerspec spec = {.it_value.tv_nsec = 20000000};
    timerfd_settime(timer, 0, &spec, NULL);
    int n = epoll_wait(epoll, &e, 1, 10000);
    printf("timer %d %u\n", n, e.data.u32);
    uint64_t value = 0;
    read(timer, &value, 8);
    printf("ticks %d\n", value >= 1);
    value = 5;
    write(event, &value, 8);
    n = epoll_wait(epoll, &e, 1, 10000);
    printf("event %d %u\n", n, e.data.u32);
    read(event, &value, 8);
    printf("value %lu, then %zd %d\n", (unsigned long)value, read(event, &value, 8), errno == EAGAIN);
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    printf("peer %d\n", credentials.uid == getuid());
    return 0;
}
