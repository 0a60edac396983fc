/* The small costs: nanoseconds per operation, one line each. `micro [NAME…]`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int wanted(int argc, char **argv, const char *name) {
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name)) return 1;
    return argc < 2;
}

/* The median of nine rounds of `count` operations. */
#define MEASURE(name, count, operation)                                    \
    if (wanted(argc, argv, name)) {                                        \
        double rounds[9];                                                  \
        for (int r = 0; r < 9; r++) {                                      \
            double start = now();                                          \
            for (long i = 0; i < (count); i++) { operation; }              \
            rounds[r] = (now() - start) / (count);                         \
        }                                                                  \
        qsort(rounds, 9, sizeof *rounds, compare);                         \
        printf("%s %.1f\n", name, rounds[4]);                              \
        fflush(stdout);                                                    \
    }

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void spawn_true(void) {
    pid_t pid;
    char *argv[] = {"true", NULL};
    check(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0, "posix_spawn");
    check(waitpid(pid, NULL, 0) == pid, "waitpid");
}

int main(int argc, char **argv) {
    MEASURE("getppid", 200000, getppid());
    MEASURE("clock_gettime", 200000, now());
    struct stat st;
    MEASURE("stat", 50000, check(stat("/usr/bin/env", &st) == 0, "stat"));
    MEASURE("open_read_close", 20000, {
        char buf[512];
        int fd = open("/etc/passwd", O_RDONLY);
        check(fd >= 0 && read(fd, buf, sizeof buf) > 0, "open");
        close(fd);
    });
    int p[2];
    check(pipe(p) == 0, "pipe");
    MEASURE("pipe_write_read", 100000, {
        char c = 1;
        check(write(p[1], &c, 1) == 1 && read(p[0], &c, 1) == 1, "pipe");
    });
    MEASURE("mmap_touch_munmap", 5000, {
        char *m = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(m != MAP_FAILED, "mmap");
        for (int k = 0; k < 16384; k += 4096) m[k] = 1;
        munmap(m, 16384);
    });
    MEASURE("fork_wait", 100, {
        pid_t pid = fork();
        if (pid == 0) _exit(0);
        check(waitpid(pid, NULL, 0) == pid, "fork");
    });
    MEASURE("spawn_true", 20, spawn_true());
    if (wanted(argc, argv, "spawn_true_1gib")) {
        size_t size = 1ul << 30;
        char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(m != MAP_FAILED, "mmap");
        memset(m, 1, size);
        MEASURE("spawn_true_1gib", 10, spawn_true());
    }
    return 0;
}
