/* What processes used, as they and others are told. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static double cpu(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Burns CPU time of the thread: in the program itself, or by faults that the kernel has to serve. */
static void burn(double amount, int in_kernel) {
    double end = cpu(CLOCK_THREAD_CPUTIME_ID) + amount;
    size_t len = 4 << 20;
    while (cpu(CLOCK_THREAD_CPUTIME_ID) < end) {
        if (in_kernel) {
            char *some = mmap(NULL, len, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            madvise(some, len, MADV_POPULATE_WRITE);
            munmap(some, len);
        }
        for (volatile int i = 0; !in_kernel && i < 100000; i++) {}
    }
}

static const char *about(double value, double expected) {
    return value > expected * 0.7 && value < expected * 1.5 + 0.05 ? "as expected" : "wrong";
}

static struct rusage used(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return usage;
}

static double total(struct rusage usage) { return seconds(usage.ru_utime) + seconds(usage.ru_stime); }

/* Time of a process in seconds from its stat file: user and system. */
static double from_stat(const char *path) {
    char text[1024], *at;
    FILE *file = fopen(path, "r");
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    unsigned long user = 0, system = 0;
    at = strrchr(text, ')');
    sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (user + system) / 100.0;
}

static void *other(void *argument) {
    burn(0.2, 0);
    printf("thread: %s\n", about(total(used(RUSAGE_THREAD)), 0.2));
    char path[64];
    sprintf(path, "/proc/self/task/%d/stat", gettid());
    printf("its stat: %s\n", about(from_stat(path), 0.2));
    return argument;
}

static volatile sig_atomic_t virtual, profile;
static void count(int signal) { if (signal == SIGVTALRM) virtual++; else profile++; }

int main(void) {
    burn(0.3, 0);
    struct rusage own = used(RUSAGE_SELF);
    printf("in the program: %s, mostly user time %d\n", about(total(own), 0.3), seconds(own.ru_utime) > seconds(own.ru_stime));
    burn(0.4, 1);
    struct rusage after = used(RUSAGE_SELF);
    double user = seconds(after.ru_utime) - seconds(own.ru_utime), system = seconds(after.ru_stime) - seconds(own.ru_stime);
    printf("in the kernel: %s, mostly system time %d\n", about(user + system, 0.4), system > user);
    printf("stat: %s\n", about(from_stat("/proc/self/stat"), total(after)));
    struct tms ticks;
    times(&ticks);
    printf("times: %s\n", about((ticks.tms_utime + ticks.tms_stime) / 100.0, total(after)));
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    pthread_join(thread, NULL);
    printf("with the thread: %s\n", about(total(used(RUSAGE_SELF)), total(after) + 0.2));
    printf("children: %d\n", total(used(RUSAGE_CHILDREN)) > 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        burn(0.2, 0);
        if (fork() == 0) {
            burn(0.2, 0);
            _exit(0);
        }
        wait(NULL);
        _exit(0);
    }
    char path[64];
    sprintf(path, "/proc/%d/stat", pid);
    siginfo_t info;
    waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
    printf("a zombie's stat: %s\n", about(from_stat(path), 0.2));
    printf("told with the signal: %s\n", about((info.si_utime + info.si_stime) / 100.0, 0.2));
    struct rusage child;
    wait4(pid, NULL, 0, &child);
    printf("child with grandchild: %s\n", about(total(child), 0.4));
    printf("children: %s\n", about(total(used(RUSAGE_CHILDREN)), 0.4));
    signal(SIGVTALRM, count);
    signal(SIGPROF, count);
    struct itimerval each = {{0, 20000}, {0, 20000}};
    setitimer(ITIMER_VIRTUAL, &each, NULL);
    setitimer(ITIMER_PROF, &each, NULL);
    /* Where others take the processor often, ticks are missed, natively too: some more chances. */
    for (int i = 0; i < 5 && (virtual <= 5 || profile <= 5); i++) burn(0.3, 0);
    int in_program[2] = {virtual, profile};
    for (int i = 0; i < 5 && profile - in_program[1] <= 5; i++) burn(0.3, 1);
    printf("timers in the program: %d %d\n", in_program[0] > 5, in_program[1] > 5);
    int more[2] = {virtual - in_program[0], profile - in_program[1]};
    printf("timers in the kernel: %d\n", more[1] > 5 && more[0] < more[1]);
    int bad = getrusage(7, &own);
    printf("bad %d %s\n", bad, strerrorname_np(errno));
    struct sysinfo machine;
    sysinfo(&machine);
    printf("machine: %d %d\n", machine.procs > 0, machine.freeram <= machine.totalram);
    return 0;
}
