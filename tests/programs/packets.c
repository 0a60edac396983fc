/* Packet pipes (O_DIRECT). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[65536 * 2];

static void reads(int fd, size_t len) {
    memset(buffer, '.', sizeof buffer);
    ssize_t got = read(fd, buffer, len);
    int error = got < 0 ? errno : 0;
    int left = -1;
    ioctl(fd, FIONREAD, &left);
    printf("read %zu: %zd %.5s, error %d, left %d\n", len, got, got > 0 ? buffer : "", error, left);
}

int main(void) {
    int p[2], status;
    printf("pipe2 %d\n", pipe2(p, O_DIRECT | O_NONBLOCK));
    printf("flags %x %x\n", fcntl(p[0], F_GETFL), fcntl(p[1], F_GETFL));
    write(p[1], "one", 3);
    write(p[1], "two2", 4);
    write(p[1], "three", 5);
    reads(p[0], 100);
    reads(p[0], 2);
    reads(p[0], 100);
    reads(p[0], 100);
    /* Each packet takes a page. */
    int count = 0;
    while (write(p[1], "x", 1) == 1) count++;
    printf("packets %d, error %d\n", count, errno);
    struct pollfd ready = {p[1], POLLOUT, 0};
    printf("poll %d\n", poll(&ready, 1, 0));
    reads(p[0], 10);
    printf("poll %d %x\n", poll(&ready, 1, 0), ready.revents);
    while (read(p[0], buffer, sizeof buffer) > 0) {}
    /* Longer ones are split. */
    memset(buffer, 'a', 10000);
    printf("write %zd\n", write(p[1], buffer, 10000));
    reads(p[0], 9000);
    reads(p[0], 9000);
    reads(p[0], 9000);
    memset(buffer, 'b', sizeof buffer);
    printf("write %zd\n", write(p[1], buffer, 70000));
    printf("write %zd\n", write(p[1], buffer, 1));
    reads(p[0], 1);
    printf("write %zd\n", write(p[1], buffer, 5000));
    while (read(p[0], buffer, sizeof buffer) > 0) {}
    /* Both kinds in one pipe. */
    printf("to plain %d\n", fcntl(p[1], F_SETFL, O_NONBLOCK));
    memset(buffer, 'p', 4096);
    write(p[1], buffer, 4096);
    printf("to packets %d\n", fcntl(p[1], F_SETFL, O_DIRECT | O_NONBLOCK));
    write(p[1], "packet", 6);
    write(p[1], "again", 5);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    memset(buffer, 'q', 4096);
    write(p[1], buffer, 4096);
    reads(p[0], 10);
    reads(p[0], 4088);
    reads(p[0], 10000);
    reads(p[0], 10000);
    reads(p[0], 10000);
    /* The size of the pipe. */
    fcntl(p[1], F_SETFL, O_DIRECT | O_NONBLOCK);
    for (int i = 0; i < 4; i++) write(p[1], "size", 4);
    printf("shrink %d", fcntl(p[1], F_SETPIPE_SZ, 8192));
    printf(" %d\n", errno);
    printf("shrink %d\n", fcntl(p[1], F_SETPIPE_SZ, 4 * 4096));
    printf("full %zd", write(p[1], "x", 1));
    printf(" %d\n", errno);
    int other[2];
    pipe(other);
    printf("tee %zd\n", tee(p[0], other[1], 100, 0));
    reads(other[0], 100);
    /* A writer that waits. */
    pipe2(p, O_DIRECT);
    fflush(stdout);
    if (fork() == 0) {
        close(p[0]);
        for (int i = 0; i < 40; i++) write(p[1], buffer, 100 + i);
        exit(0);
    }
    close(p[1]);
    size_t sum = 0;
    for (ssize_t got; (got = read(p[0], buffer, 4096)) > 0;) sum += got;
    wait(&status);
    printf("sum %zu, status %d\n", sum, status);
    /* What else takes the flag. */
    int sockets[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
    printf("socket %d", fcntl(sockets[0], F_SETFL, O_DIRECT));
    printf(" %d\n", errno);
    char path[64];
    snprintf(path, sizeof path, "/tmp/postern-packets-%d", getpid());
    mkfifo(path, 0600);
    int fifo = open(path, O_RDWR | O_DIRECT);
    printf("fifo %d %d\n", fifo < 0, fifo < 0 ? errno : 0);
    fifo = open(path, O_RDWR);
    printf("fifo %d\n", fcntl(fifo, F_SETFL, O_DIRECT));
    write(fifo, "abc", 3);
    write(fifo, "def", 3);
    reads(fifo, 10);
    unlink(path);
    return 0;
}
