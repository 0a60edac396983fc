/* Urgent data: MSG_OOB, SO_OOBINLINE, SIOCATMARK, POLLPRI and SIGURG, of TCP and AF_UNIX streams. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int s[2]; /* From the first to the second. */
static int is_tcp;

static void settle(void) {
    if (is_tcp) usleep(20000);
}

static void connected(void) {
    if (!is_tcp) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    } else {
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
        bind(listener, (void *)&address, sizeof address);
        socklen_t len = sizeof address;
        getsockname(listener, (void *)&address, &len);
        listen(listener, 1);
        s[0] = socket(AF_INET, SOCK_STREAM, 0);
        connect(s[0], (void *)&address, sizeof address);
        s[1] = accept(listener, NULL, NULL);
        close(listener);
    }
}

static void done(void) {
    close(s[0]);
    close(s[1]);
}

static void look(const char *what) {
    settle();
    int mark = -1, count = -1;
    ioctl(s[1], SIOCATMARK, &mark);
    /* Linux 6.18 goes on counting bytes of AF_UNIX that were lost. */
    if (is_tcp) ioctl(s[1], FIONREAD, &count);
    struct pollfd entry = {s[1], POLLIN | POLLPRI | POLLRDHUP, 0};
    poll(&entry, 1, 0);
    printf("  [%s: mark %d, count %d, poll %x]\n", what, mark, count, entry.revents);
}

static void sends(const char *text, int flags) {
    ssize_t sent = send(s[0], text, strlen(text), flags);
    printf("send %s%s: %zd", text, flags & MSG_OOB ? " urgent" : "", sent);
    printf(" %d\n", sent < 0 ? errno : 0);
}

static void receives(size_t len, int flags) {
    char bytes[100] = "";
    struct iovec part = {bytes, len};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got = recvmsg(s[1], &header, flags | MSG_DONTWAIT);
    printf("receive %zu flags %x: %zd", len, flags, got);
    printf(" '%.*s' flags %x, %d\n", got > 0 ? (int)got : 0, bytes, got < 0 ? 0 : header.msg_flags, got < 0 ? errno : 0);
}

static void in_line(int yes) {
    printf("in line %d\n", setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes));
}

static volatile int signals;

static void caught(int signal) {
    (void)signal;
    signals++;
}

static void all(void) {
    printf("== %s\n", is_tcp ? "tcp" : "unix");
    connected();
    look("nothing");
    receives(1, MSG_OOB);
    sends("ab", 0);
    sends("cd", MSG_OOB);
    look("sent");
    receives(10, MSG_PEEK);
    receives(10, 0);
    look("before the mark");
    receives(1, MSG_OOB | MSG_PEEK);
    receives(1, MSG_OOB);
    receives(1, MSG_OOB);
    look("received");
    receives(10, 0);
    sends("ef", 0);
    look("behind");
    receives(10, 0);
    look("empty");

    printf("-- not received\n");
    sends("ab", 0);
    sends("X", MSG_OOB);
    sends("cd", 0);
    look("sent");
    receives(10, 0);
    look("at the mark");
    receives(10, MSG_PEEK);
    receives(10, 0);
    receives(1, MSG_OOB);
    look("lost");

    printf("-- received before its turn\n");
    sends("ab", 0);
    sends("X", MSG_OOB);
    sends("cd", 0);
    settle();
    receives(1, MSG_OOB);
    look("received");
    receives(10, MSG_PEEK);
    receives(1, 0);
    receives(10, 0);
    look("at the mark");
    receives(10, 0);
    look("behind");

    printf("-- two\n");
    sends("ab", 0);
    sends("X", MSG_OOB);
    sends("cd", 0);
    sends("Y", MSG_OOB);
    sends("ef", 0);
    look("sent");
    receives(1, MSG_OOB);
    receives(1, MSG_OOB);
    receives(10, 0);
    look("at the mark");
    receives(10, 0);
    look("behind");

    printf("-- two, both received\n");
    sends("ab", 0);
    sends("X", MSG_OOB);
    settle();
    receives(1, MSG_OOB);
    sends("cd", 0);
    sends("Y", MSG_OOB);
    settle();
    look("second");
    receives(3, 0);
    receives(10, 0);
    receives(1, MSG_OOB);
    sends("ef", 0);
    look("received");
    receives(10, 0);
    receives(10, 0);

    printf("-- in line\n");
    in_line(1);
    sends("ab", 0);
    sends("X", MSG_OOB);
    sends("cd", 0);
    look("sent");
    receives(1, MSG_OOB);
    receives(10, 0);
    look("at the mark");
    receives(10, MSG_PEEK);
    receives(10, 0);
    look("behind");
    in_line(0);

    printf("-- whole\n");
    sends("ab", 0);
    sends("X", MSG_OOB);
    settle();
    char bytes[10];
    printf("waits for all: %zd\n", recv(s[1], bytes, 10, MSG_WAITALL));
    sends("", MSG_OOB);
    sends("long and urgent!", MSG_OOB);
    settle();
    receives(1, MSG_OOB);
    receives(50, 0);

    printf("-- who waits\n");
    fd_set except;
    FD_ZERO(&except);
    FD_SET(s[1], &except);
    struct timeval limit = {0, 0};
    printf("select %d", select(s[1] + 1, NULL, NULL, &except, &limit));
    sends("!", MSG_OOB);
    FD_SET(s[1], &except);
    limit.tv_sec = 5;
    printf("select %d %d\n", select(s[1] + 1, NULL, NULL, &except, &limit), FD_ISSET(s[1], &except));
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLPRI, {.fd = 1}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, s[1], &event);
    printf("epoll %d %x\n", epoll_wait(epoll, &event, 1, 0), event.events);
    receives(1, MSG_OOB);
    printf("epoll %d\n", epoll_wait(epoll, &event, 1, 0));
    close(epoll);
    sends("ab", MSG_OOB);
    settle();
    shutdown(s[0], SHUT_WR);
    look("ended");
    receives(10, 0);
    receives(1, MSG_OOB);
    receives(10, 0);
    receives(10, 0);
    done();

    printf("-- signals\n");
    connected();
    signal(SIGURG, caught);
    sends("1", MSG_OOB);
    settle();
    printf("without an owner %d\n", signals);
    fcntl(s[1], F_SETOWN, getpid());
    sends("2", MSG_OOB);
    settle();
    printf("with one %d\n", signals);
    sends("3", 0);
    settle();
    printf("plain %d\n", signals);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGURG);
    sigprocmask(SIG_BLOCK, &set, NULL);
    /* A signal that is pending once only: TCP tells of the data as well, once or twice. */
    fcntl(s[1], F_SETSIG, SIGUSR1);
    fcntl(s[1], F_SETFL, O_ASYNC);
    sends("4", MSG_OOB);
    settle();
    siginfo_t info;
    struct timespec now = {0, 0};
    while (sigtimedwait(&set, &info, &now) > 0)
        printf("signal %d code %d band %lx\n", info.si_signo, info.si_code, info.si_code == SI_KERNEL ? 0 : info.si_band);
    fcntl(s[1], F_SETFL, 0);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signals = 0;
    done();

    if (!is_tcp) {
        /* Whether a peer that closes leaves something unread. */
        for (int received = 0; received < 2; received++) {
            connected();
            sends("Z", MSG_OOB);
            if (received) receives(1, MSG_OOB);
            close(s[1]);
            ssize_t got = recv(s[0], bytes, 1, 0);
            printf("closed: %zd %d\n", got, got < 0 ? errno : 0);
            close(s[0]);
        }
        socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
        sends("d", MSG_OOB);
        receives(1, MSG_OOB);
        done();
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
        sends("d", MSG_OOB);
        receives(1, MSG_OOB);
        done();
    }
}

int main(void) {
    all();
    is_tcp = 1;
    all();
    return 0;
}
