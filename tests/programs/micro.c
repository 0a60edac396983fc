/* The small costs: nanoseconds per operation, one line each. `micro [NAME…]`. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

static void fork_exec(void) {
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    check(waitpid(pid, NULL, 0) == pid, "fork");
}

static void touch(size_t size) {
    char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(m != MAP_FAILED, "mmap");
    for (size_t at = 0; at < size; at += 4096) m[at] = 1;
    munmap(m, size);
}

/* Answers each byte with one, in another process. */
static pid_t echo(int from, int to) {
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        char c;
        while (read(from, &c, 1) == 1 && write(to, &c, 1) == 1);
        _exit(0);
    }
    return pid;
}

static void exchange(int out, int in) {
    char c = 1;
    check(write(out, &c, 1) == 1 && read(in, &c, 1) == 1, "exchange");
}

static void measure_ipc(int argc, char **argv) {
    int event = eventfd(0, 0), pair[2], there[2], back[2];
    check(event >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    MEASURE("eventfd_write_read", 100000, {
        uint64_t one = 1;
        check(write(event, &one, 8) == 8 && read(event, &one, 8) == 8, "eventfd");
    });
    MEASURE("socketpair_write_read", 100000, exchange(pair[0], pair[1]));
    static uint32_t word;
    MEASURE("futex_wake", 200000, syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    if (wanted(argc, argv, "pipe_ping_pong")) {
        check(pipe(there) == 0 && pipe(back) == 0, "pipe");
        pid_t pid = echo(there[0], back[1]);
        MEASURE("pipe_ping_pong", 5000, exchange(there[1], back[0]));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    if (wanted(argc, argv, "socketpair_ping_pong")) {
        pid_t pid = echo(pair[1], pair[1]);
        MEASURE("socketpair_ping_pong", 5000, exchange(pair[0], pair[0]));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    if (wanted(argc, argv, "epoll_10000_idle")) {
        struct rlimit limit;
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        int set = epoll_create1(0);
        struct epoll_event event_in = {.events = EPOLLIN}, out[8];
        for (int i = 0; i < 10000; i++) {
            int fd = eventfd(0, 0);
            check(fd >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event_in) == 0, "epoll_ctl");
        }
        check(epoll_ctl(set, EPOLL_CTL_ADD, event, &event_in) == 0, "epoll_ctl");
        MEASURE("epoll_10000_idle", 20000, {
            uint64_t one = 1;
            check(write(event, &one, 8) == 8 && epoll_wait(set, out, 8, -1) == 1 && read(event, &one, 8) == 8, "epoll");
        });
    }
}

static void measure_directories(int argc, char **argv) {
    if (!wanted(argc, argv, "readdir_10000")) return;
    char dir[] = "/tmp/micro-XXXXXX", path[64];
    check(mkdtemp(dir) != NULL, "mkdtemp");
    for (int i = 0; i < 10000; i++) {
        snprintf(path, sizeof path, "%s/%d", dir, i);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        check(fd >= 0, "create");
        close(fd);
    }
    MEASURE("readdir_10000", 10, {
        DIR *d = opendir(dir);
        check(d != NULL, "opendir");
        while (readdir(d) != NULL);
        closedir(d);
    });
    for (int i = 0; i < 10000; i++) {
        snprintf(path, sizeof path, "%s/%d", dir, i);
        unlink(path);
    }
    rmdir(dir);
}

static void *nothing(void *argument) { return argument; }

enum { HAMMER = 200000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int hammered[2];

static void *hammer_mutex(void *argument) {
    for (int i = 0; i < HAMMER; i++) {
        pthread_mutex_lock(&mutex);
        hammered[0]++;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

static void *hammer_pipe(void *argument) {
    char c = 1;
    for (int i = 0; i < HAMMER / 10; i++)
        check(write(hammered[1], &c, 1) == 1 && read(hammered[0], &c, 1) == 1, "pipe");
    return argument;
}

static void *hammer_allocator(void *argument) {
    for (int i = 0; i < HAMMER / 100; i++) {
        /* Above the threshold from which on the C library maps. */
        char *m = malloc(256 << 10);
        check(m != NULL, "malloc");
        m[0] = m[100000] = 1;
        free(m);
    }
    return argument;
}

static void both(void *(*run)(void *)) {
    pthread_t one, two;
    check(pthread_create(&one, NULL, run, NULL) == 0 && pthread_create(&two, NULL, run, NULL) == 0, "pthread_create");
    pthread_join(one, NULL);
    pthread_join(two, NULL);
}

static void measure_threads(int argc, char **argv) {
    MEASURE("thread_create_join", 500, {
        pthread_t thread;
        check(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    });
    MEASURE("two_threads_mutex", 1, both(hammer_mutex));
    if (wanted(argc, argv, "two_threads_pipe")) {
        check(pipe(hammered) == 0, "pipe");
        MEASURE("two_threads_pipe", 1, both(hammer_pipe));
    }
    if (wanted(argc, argv, "two_threads_malloc")) {
        mallopt(M_MMAP_THRESHOLD, 128 << 10);
        MEASURE("two_threads_malloc", 1, both(hammer_allocator));
    }
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
    measure_ipc(argc, argv);
    measure_directories(argc, argv);
    measure_threads(argc, argv);
    MEASURE("fork_exec", 20, fork_exec());
    MEASURE("page_faults", 5, touch(64ul << 20));
    if (wanted(argc, argv, "fork_1gib")) {
        size_t size = 1ul << 30;
        char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(m != MAP_FAILED, "mmap");
        memset(m, 1, size);
        MEASURE("fork_1gib", 10, {
            pid_t pid = fork();
            if (pid == 0) _exit(0);
            check(waitpid(pid, NULL, 0) == pid, "fork");
        });
        munmap(m, size);
    }
    if (wanted(argc, argv, "spawn_true_1gib")) {
        size_t size = 1ul << 30;
        char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(m != MAP_FAILED, "mmap");
        memset(m, 1, size);
        MEASURE("spawn_true_1gib", 10, spawn_true());
    }
    return 0;
}
