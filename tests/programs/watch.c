/* inotify on a directory of the home, and record locks between processes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    char dir[PATH_MAX], buf[4096] __attribute__((aligned(8)));
    snprintf(dir, sizeof dir, "%s/watch-XXXXXX", getenv("HOME"));
    if (!mkdtemp(dir) || chdir(dir)) return 1;
    int watch = inotify_init1(IN_NONBLOCK);
    printf("watch %d\n", inotify_add_watch(watch, ".", IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_CLOSE_WRITE));
    printf("empty %d\n", read(watch, buf, sizeof buf) == -1 && errno == EAGAIN);
    int fd = open("file", O_CREAT | O_RDWR, 0600);
    write(fd, "x", 1);
    close(fd);
    rename("file", "other");
    unlink("other");
    const char *wanted[] = {"file", "file", "other", "other"};
    int got = 0;
    struct pollfd p = {watch, POLLIN, 0};
    while (got < 4 && poll(&p, 1, 10000) == 1) {
        ssize_t n = read(watch, buf, sizeof buf);
        for (char *at = buf; at < buf + n;) {
            struct inotify_event *e = (struct inotify_event *)at;
            printf("event %x %s %d\n", e->mask, e->name, got < 4 && !strcmp(e->name, wanted[got]));
            got++;
            at += sizeof *e + e->len;
        }
    }
    fd = open("locked", O_CREAT | O_RDWR, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    printf("lock %d\n", fcntl(fd, F_SETLK, &lock));
    if (fork() == 0) {
        struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 5};
        int busy = fcntl(fd, F_SETLK, &other) == -1 && (errno == EAGAIN || errno == EACCES);
        fcntl(fd, F_GETLK, &other);
        _exit(busy && other.l_type == F_WRLCK && other.l_pid == getppid() ? 11 : 12);
    }
    int status;
    wait(&status);
    printf("other %d\n", WEXITSTATUS(status));
    unlink("locked");
    chdir("/");
    printf("removed %d\n", rmdir(dir));
    return 0;
}
