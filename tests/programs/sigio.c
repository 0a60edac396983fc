/* SIGIO: O_ASYNC, owners, signals with information, of pipes, FIFOs, sockets and ptys. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static sigset_t all;
static char bytes[1 << 18];

/* The signals that came. They are sent before the call that causes them returns, but by a pty. */
static void came(const char *what, int wait_ms) {
    printf("%s:", what);
    siginfo_t info;
    struct timespec now = {0, wait_ms * 1000000L};
    while (sigtimedwait(&all, &info, &now) > 0) {
        if (info.si_signo == SIGCHLD && info.si_code > 0) continue;
        printf(" %d/%d", info.si_signo, info.si_code);
        if (info.si_code != SI_KERNEL) printf("/%lx/%d", info.si_band, info.si_fd);
    }
    printf("\n");
}

static int async(int fd, int owner, int signal) {
    int flags = fcntl(fd, F_GETFL);
    if (fcntl(fd, F_SETOWN, owner) || fcntl(fd, F_SETSIG, signal)) return -1;
    return fcntl(fd, F_SETFL, flags | O_ASYNC);
}

static void pipes(void) {
    int p[2];
    pipe2(p, O_NONBLOCK);
    printf("pipe %d %d\n", async(p[0], getpid(), 0), async(p[1], getpid(), SIGRTMIN + 1));
    printf("flags %x %x\n", fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL));
    write(p[1], "a", 1);
    came("write", 0);
    write(p[1], "b", 1);
    read(p[0], bytes, 1);
    came("write and read", 0);
    fcntl(p[0], F_SETSIG, SIGRTMIN);
    for (int i = 0; i < 3; i++) write(p[1], "c", 1);
    came("three writes", 0);
    fcntl(p[0], F_SETSIG, SIGCHLD);
    write(p[1], "c", 1);
    came("as SIGCHLD", 0);
    printf("sig %d\n", fcntl(p[0], F_GETSIG));
    printf("bad sig %d", fcntl(p[0], F_SETSIG, 65));
    printf(" %d\n", errno);
    fcntl(p[0], F_SETSIG, SIGRTMIN);
    int flags = fcntl(p[0], F_GETFL);
    fcntl(p[0], F_SETFL, flags & ~O_ASYNC);
    write(p[1], "c", 1);
    came("off", 0);
    int on = 1;
    int again = dup2(p[0], 50);
    printf("FIOASYNC %d\n", ioctl(again, FIOASYNC, &on));
    write(p[1], "c", 1);
    came("by another descriptor", 0);
    close(p[0]);
    write(p[1], "c", 1);
    came("closed one of two", 0);
    close(again);
    came("closed", 0);
    close(p[1]);
    pipe(p);
    async(p[0], getpid(), SIGRTMIN + 2);
    close(p[1]);
    came("writer closed", 0);
    close(p[0]);

    char path[64];
    snprintf(path, sizeof path, "/tmp/postern-sigio-%d", getpid());
    mkfifo(path, 0600);
    int reader = open(path, O_RDONLY | O_NONBLOCK), writer = open(path, O_WRONLY);
    async(reader, getpid(), SIGRTMIN + 3);
    write(writer, "f", 1);
    came("fifo", 0);
    unlink(path);
    close(reader), close(writer);
}

static void owners(void) {
    int p[2];
    pipe(p);
    struct f_owner_ex owner;
    owner.type = 77;
    int result = fcntl(p[0], F_GETOWN_EX, &owner);
    printf("none %d %d %d, %d\n", result, owner.type, owner.pid, fcntl(p[0], F_GETOWN));
    fcntl(p[0], F_SETOWN, getpid());
    fcntl(p[0], F_GETOWN_EX, &owner);
    printf("pid %d %d\n", owner.type, owner.pid == getpid());
    fcntl(p[0], F_SETOWN, -getpgrp());
    fcntl(p[0], F_GETOWN_EX, &owner);
    printf("group %d %d\n", owner.type, owner.pid == getpgrp());
    owner = (struct f_owner_ex){F_OWNER_TID, syscall(SYS_gettid)};
    printf("tid %d", fcntl(p[0], F_SETOWN_EX, &owner));
    fcntl(p[0], F_GETOWN_EX, &owner);
    printf(" %d %d %d\n", owner.type, owner.pid == getpid(), fcntl(p[0], F_GETOWN) == getpid());
    fcntl(p[0], F_SETFL, O_ASYNC);
    write(p[1], "t", 1);
    came("to the thread", 0);
    owner = (struct f_owner_ex){9, getpid()};
    printf("bad type %d", fcntl(p[0], F_SETOWN_EX, &owner));
    printf(" %d\n", errno);
    printf("nobody %d", fcntl(p[0], F_SETOWN, 4000000));
    printf(" %d\n", errno);
    printf("no group %d", fcntl(p[0], F_SETOWN, -4000000));
    printf(" %d\n", errno);
    owner = (struct f_owner_ex){F_OWNER_PID, 4000000};
    printf("nobody %d", fcntl(p[0], F_SETOWN_EX, &owner));
    printf(" %d\n", errno);
    printf("cleared %d\n", fcntl(p[0], F_SETOWN, 0));
    write(p[1], "t", 1);
    came("to nobody", 0);
    /* A group of two. */
    fflush(stdout);
    int ready[2], back[2];
    pipe(ready), pipe(back);
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        write(ready[1], "r", 1);
        siginfo_t info;
        struct timespec limit = {5, 0};
        int got = sigtimedwait(&all, &info, &limit);
        exit(got == SIGRTMIN + 4 && info.si_code == POLL_IN && info.si_fd == p[0]);
    }
    read(ready[0], bytes, 1);
    async(p[0], -child, SIGRTMIN + 4);
    printf("group %d\n", fcntl(p[0], F_GETOWN) == -child);
    write(p[1], "t", 1);
    int status;
    waitpid(child, &status, 0);
    came("to the child only", 0);
    printf("child %d, gone %d\n", WEXITSTATUS(status), fcntl(p[0], F_GETOWN));
    close(p[0]), close(p[1]);
}

static void sockets(void) {
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
    async(s[0], getpid(), SIGRTMIN + 5);
    write(s[1], "hello", 5);
    came("stream", 0);
    write(s[1], "hello", 5);
    write(s[1], "hello", 5);
    came("stream twice", 0);
    read(s[0], bytes, 100);
    came("own read", 0);
    while (write(s[0], bytes, 4096) > 0) {}
    came("full", 0);
    while (read(s[1], bytes, sizeof bytes) > 0) {}
    siginfo_t info;
    struct timespec now = {0, 0};
    int outs = 0;
    while (sigtimedwait(&all, &info, &now) > 0) outs += info.si_code == POLL_OUT && info.si_band == (POLLOUT | POLLWRNORM | POLLWRBAND);
    printf("room %d\n", outs > 0);
    shutdown(s[1], SHUT_WR);
    came("half closed", 0);
    close(s[1]);
    came("closed", 0);
    close(s[0]);

    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    async(s[0], getpid(), 0);
    write(s[1], "packet", 6);
    came("packet", 0);
    int owner = 0;
    int result = ioctl(s[0], FIOGETOWN, &owner);
    printf("FIOGETOWN %d %d\n", result, owner == getpid());
    owner = -getpgrp();
    printf("SIOCSPGRP %d", ioctl(s[0], SIOCSPGRP, &owner));
    owner = 0;
    result = ioctl(s[0], SIOCGPGRP, &owner);
    printf(" %d %d\n", result, owner == -getpgrp());
    close(s[0]), close(s[1]);

    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {AF_UNIX};
    snprintf(name.sun_path + 1, 40, "postern-sigio-%d", getpid());
    bind(listener, (void *)&name, sizeof name);
    listen(listener, 5);
    async(listener, getpid(), SIGRTMIN + 6);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    connect(client, (void *)&name, sizeof name);
    came("connection", 0);
    close(client), close(listener);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
    bind(listener, (void *)&address, sizeof address);
    socklen_t len = sizeof address;
    getsockname(listener, (void *)&address, &len);
    listen(listener, 5);
    async(listener, getpid(), SIGRTMIN + 6);
    client = socket(AF_INET, SOCK_STREAM, 0);
    connect(client, (void *)&address, sizeof address);
    came("tcp connection", 20);
    int server = accept(listener, NULL, NULL);
    printf("accepted flags %x owner %d\n", fcntl(server, F_GETFL), fcntl(server, F_GETOWN));
    /* One that is pending once only: the end of a connection is told twice. */
    async(server, getpid(), SIGUSR1);
    write(client, "data", 4);
    came("tcp data", 20);
    close(client);
    came("tcp closed", 20);
    close(server), close(listener);

    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_port = 0;
    bind(udp, (void *)&address, sizeof address);
    getsockname(udp, (void *)&address, &len);
    async(udp, getpid(), SIGRTMIN + 8);
    client = socket(AF_INET, SOCK_DGRAM, 0);
    sendto(client, "udp", 3, 0, (void *)&address, len);
    came("udp", 20);
}

static void terminals(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(master), unlockpt(master);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK);
    struct termios settings;
    tcgetattr(slave, &settings);
    settings.c_lflag &= ~ECHO;
    tcsetattr(slave, TCSANOW, &settings);
    async(slave, getpid(), SIGRTMIN + 9);
    write(master, "half", 4);
    came("half a line", 50);
    write(master, " done\n", 6);
    came("line", 50);
    fcntl(slave, F_SETFL, O_NONBLOCK);
    async(master, getpid(), SIGRTMIN + 10);
    write(slave, "out", 3);
    came("output", 50);
    /* Without an owner it is the one who asks. */
    int other = open(ptsname(master), O_RDWR | O_NOCTTY);
    fcntl(other, F_SETFL, O_ASYNC);
    printf("default owner %d\n", fcntl(other, F_GETOWN) == getpid());
}

static void others(void) {
    int event = eventfd(0, 0), file = open("/dev/null", O_RDWR), on = 1;
    printf("eventfd %d", fcntl(event, F_SETFL, O_ASYNC));
    printf(" %x", fcntl(event, F_GETFL));
    printf(" %d", ioctl(event, FIOASYNC, &on));
    printf(" %d\n", errno);
    printf("null %d %x\n", fcntl(file, F_SETFL, O_ASYNC), fcntl(file, F_GETFL));
    on = 0;
    printf("off %d\n", ioctl(event, FIOASYNC, &on));
    /* By signalfd. */
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN);
    int fd = signalfd(-1, &one, SFD_NONBLOCK);
    int p[2];
    pipe(p);
    async(p[0], getpid(), SIGRTMIN);
    write(p[1], "x", 1);
    struct signalfd_siginfo info;
    int got = read(fd, &info, sizeof info);
    printf("signalfd %d: %d %d %x %d, %u %u\n", got, info.ssi_signo, info.ssi_code, info.ssi_band, info.ssi_fd,
           info.ssi_pid, info.ssi_int);
}

int main(void) {
    closefrom(3);
    sigfillset(&all);
    sigdelset(&all, SIGINT);
    sigprocmask(SIG_BLOCK, &all, NULL);
    pipes();
    owners();
    signal(SIGCHLD, SIG_DFL);
    sockets();
    terminals();
    others();
    return 0;
}
