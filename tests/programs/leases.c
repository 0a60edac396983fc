/* Leases: F_SETLEASE, F_GETLEASE, and what opening and truncating do about them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];
static sigset_t all;

static void lease(const char *what, int fd, int kind) {
    int result = fcntl(fd, F_SETLEASE, kind);
    printf("%s: %d", what, result);
    printf(" %d, lease %d\n", result < 0 ? errno : 0, fcntl(fd, F_GETLEASE));
}

static int opens(int flags) {
    int fd = open(path, flags);
    printf("open %x: %d %d\n", flags, fd >= 0, fd < 0 ? errno : 0);
    return fd;
}

static int came(int wait) {
    siginfo_t info;
    struct timespec limit = {wait, 0};
    int got;
    do got = sigtimedwait(&all, &info, &limit);
    while (got == SIGCHLD);
    if (got < 0) printf("no signal\n");
    else if (info.si_code == SI_KERNEL) printf("signal %d\n", got);
    else printf("signal %d code %d band %lx fd %d\n", got, info.si_code, info.si_band, info.si_fd);
    fflush(stdout);
    return got;
}

enum { OPEN_READ, OPEN_WRITE, TRUNCATE };

/* What another process does meanwhile: it says how long it waited. */
static pid_t another(int what) {
    fflush(stdout);
    pid_t child = fork();
    if (child) return child;
    int result = what == OPEN_READ ? open(path, O_RDONLY) : what == OPEN_WRITE ? open(path, O_WRONLY) : truncate(path, 3);
    printf("child %d: %d %d\n", what, result >= 0, result < 0 ? errno : 0);
    fflush(stdout);
    _exit(0);
}

static int running(pid_t child) {
    usleep(50000);
    return waitpid(child, NULL, WNOHANG) == 0;
}

int main(void) {
    closefrom(3);
    sigfillset(&all);
    sigdelset(&all, SIGINT);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%spostern-lease-%d", i ? "" : "/tmp/", getpid());
        printf("== %s\n", i ? "home" : "tmp");
        close(open(path, O_WRONLY | O_CREAT, 0600));

        int rw = open(path, O_RDWR);
        lease("read lease of one open for writing", rw, F_RDLCK);
        lease("write lease", rw, F_WRLCK);
        lease("none", rw, F_UNLCK);
        lease("none again", rw, F_UNLCK);
        lease("bad", rw, 7);
        int other = open(path, O_RDONLY);
        lease("not alone", rw, F_WRLCK);
        lease("written", other, F_RDLCK);
        close(rw);
        lease("read", other, F_RDLCK);
        int third = open(path, O_RDONLY);
        lease("read twice", third, F_RDLCK);
        lease("write beside", third, F_WRLCK);
        printf("owner %d %d\n", fcntl(other, F_GETOWN) == getpid(), fcntl(third, F_GETOWN) == getpid());
        close(third);
        lease("to write", other, F_WRLCK);
        lease("to read", other, F_RDLCK);

        printf("-- readers are let in, writers are not\n");
        close(opens(O_RDONLY));
        opens(O_WRONLY | O_NONBLOCK);
        came(0);
        printf("breaking %d\n", fcntl(other, F_GETLEASE));
        opens(O_WRONLY | O_NONBLOCK);
        came(0);
        close(opens(O_RDONLY | O_NONBLOCK));
        pid_t child = another(OPEN_WRITE);
        printf("waits %d\n", running(child));
        lease("given up", other, F_UNLCK);
        waitpid(child, NULL, 0);
        printf("owner %d\n", fcntl(other, F_GETOWN));

        printf("-- a write lease, broken by a reader\n");
        lease("write", other, F_WRLCK);
        fcntl(other, F_SETSIG, SIGRTMIN);
        child = another(OPEN_READ);
        came(5);
        printf("waits %d, lease %d\n", running(child), fcntl(other, F_GETLEASE));
        lease("downgrade", other, F_RDLCK);
        waitpid(child, NULL, 0);

        printf("-- by truncating\n");
        child = another(TRUNCATE);
        came(5);
        printf("waits %d, lease %d\n", running(child), fcntl(other, F_GETLEASE));
        /* The child has the open file, too, so closing it does not end the lease. */
        lease("given up", other, F_UNLCK);
        close(other);
        waitpid(child, NULL, 0);

        printf("-- by writing, and it ends\n");
        child = fork();
        if (child == 0) {
            int fd = open(path, O_RDWR);
            fcntl(fd, F_SETLEASE, F_WRLCK);
            pause();
            _exit(1);
        }
        usleep(50000);
        pid_t second = another(OPEN_WRITE);
        printf("waits %d\n", running(second));
        fflush(stdout);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        waitpid(second, NULL, 0);

        printf("-- a signal interrupts\n");
        other = open(path, O_RDONLY);
        lease("write", other, F_WRLCK);
        fflush(stdout);
        child = fork();
        if (child == 0) {
            sigset_t none;
            sigemptyset(&none);
            struct sigaction action = {.sa_handler = (void (*)(int))getpid};
            sigaction(SIGALRM, &action, NULL);
            sigprocmask(SIG_SETMASK, &none, NULL);
            ualarm(50000, 0);
            opens(O_RDONLY);
            fflush(stdout);
            _exit(0);
        }
        waitpid(child, NULL, 0);
        came(0);
        close(other);
        unlink(path);
    }
    int p[2];
    pipe(p);
    lease("pipe", p[0], F_RDLCK);
    lease("directory", open("/tmp", O_RDONLY), F_RDLCK);
    lease("another's", open("/etc/passwd", O_RDONLY), F_RDLCK);
    char line[32] = "";
    int fd = open("/proc/sys/fs/lease-break-time", O_RDONLY);
    printf("time %zd %s", read(fd, line, sizeof line - 1), line);
    return 0;
}
