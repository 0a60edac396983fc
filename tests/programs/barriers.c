/* membarrier: the answers, and that a reader without a fence of its own is ordered by it. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { QUERY = 0, GLOBAL = 1, EXPEDITED = 8, REGISTER = 16, CORE = 32, REGISTER_CORE = 64, REGISTRATIONS = 512 };

static const char *barrier(int command, int flags) {
    return syscall(SYS_membarrier, command, flags, 0) == -1 ? strerrorname_np(errno) : "ok";
}

enum { ROUNDS = 3000 };
static atomic_int x, y, go, ready, seen_by_reader;

static void *reader(void *argument) {
    for (int round = 1; round <= ROUNDS; round++) {
        atomic_fetch_add(&ready, 1);
        while (atomic_load_explicit(&go, memory_order_relaxed) < round) {}
        atomic_store_explicit(&x, 1, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        int seen = atomic_load_explicit(&y, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        atomic_store_explicit(&seen_by_reader, seen, memory_order_relaxed);
    }
    atomic_fetch_add(&ready, 1);
    return argument;
}

int main(void) {
    long commands = syscall(SYS_membarrier, QUERY, 0, 0);
    printf("usual commands %lx\n", commands & 0x7f);
    printf("unknown %s flags %s\n", barrier(1 << 20, 0), barrier(EXPEDITED, 1));
    printf("unregistered %s %s\n", barrier(EXPEDITED, 0), barrier(CORE, 0));
    printf("register %s %s\n", barrier(REGISTER, 0), barrier(REGISTER_CORE, 0));
    printf("registered %s %s %s\n", barrier(EXPEDITED, 0), barrier(CORE, 0), barrier(GLOBAL, 0));
    pid_t child = fork();
    if (child == 0) {
        printf("child %s\n", barrier(EXPEDITED, 0));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, reader, NULL);
    int both_missed = 0, failed = 0;
    for (int round = 1; round <= ROUNDS; round++) {
        while (atomic_load(&ready) < round) {}
        atomic_store(&x, 0);
        atomic_store(&y, 0);
        atomic_store(&go, round);
        atomic_store_explicit(&y, 1, memory_order_relaxed);
        failed |= syscall(SYS_membarrier, EXPEDITED, 0, 0) != 0;
        int seen = atomic_load_explicit(&x, memory_order_relaxed);
        while (atomic_load(&ready) < round + 1) {}
        both_missed += seen == 0 && atomic_load(&seen_by_reader) == 0;
    }
    pthread_join(thread, NULL);
    printf("missed %d failed %d\n", both_missed, failed);
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    int processor = sched_getcpu();
    printf("processor %s\n", CPU_ISSET(processor, &set) ? "one of ours" : "of others");
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &set)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        sched_setaffinity(0, sizeof one, &one);
        if (sched_getcpu() != i) printf("not on %d\n", i);
    }
    return 0;
}
