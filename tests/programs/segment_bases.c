// The GS base: set by arch_prctl and by the instruction, kept over calls, signals, threads and children; memory read
// through it all the while.
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t memory[64];
static uint64_t other[64];
static volatile sig_atomic_t handled;
static volatile uint64_t seen;

static uint64_t through_gs(void) {
    uint64_t value;
    __asm__ volatile("mov %%gs:16, %0" : "=r"(value) : : "memory");
    return value;
}

static void expect(const char *what, uint64_t is, uint64_t should) {
    if (is != should) {
        printf("%s: %llx instead of %llx\n", what, (unsigned long long)is, (unsigned long long)should);
        exit(1);
    }
}

static uint64_t asked(void) {
    uint64_t value = 1;
    expect("ARCH_GET_GS", syscall(SYS_arch_prctl, ARCH_GET_GS, &value), 0);
    return value;
}

static void by_instruction(void *base) {
    __asm__ volatile("wrgsbase %0" : : "r"(base) : "memory");
}

static void on_signal(int number) {
    (void)number;
    handled++;
    seen = through_gs();
    getppid();
}

static void *thread(void *argument) {
    (void)argument;
    expect("inherited by a thread", asked(), (uint64_t)memory);
    by_instruction(other);
    for (int i = 0; i < 2000; i++) {
        syscall(SYS_getppid);
        expect("in a thread", through_gs(), 22);
    }
    return NULL;
}

static void calls(uint64_t should) {
    for (int i = 0; i < 20000; i++) {
        syscall(SYS_getppid);
        expect("after a call", through_gs(), should);
    }
    // Time passes in app code, for signals of the host.
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        expect("while it spins", through_gs(), should);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 60);
}

static void child(const char *what, uint64_t should) {
    pid_t pid = fork();
    if (pid == 0) {
        expect(what, through_gs(), should);
        expect("set in a child", syscall(SYS_arch_prctl, ARCH_SET_GS, other), 0);
        getppid();
        expect("in a child", through_gs(), 22);
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    expect("child's status", status, 0);
    expect("after a fork", through_gs(), should);
    pid = vfork();
    if (pid == 0) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, other);
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    expect("child's status", status, 0);
    expect("after a vfork", through_gs(), should);
}

int main(void) {
    setbuf(stdout, NULL);
    memory[2] = 11;
    other[2] = 22;
    printf("instructions allowed: %d\n", (int)(getauxval(AT_HWCAP2) >> 1 & 1));
    expect("at first", asked(), 0);
    expect("an address that is none", syscall(SYS_arch_prctl, ARCH_SET_GS, 0x800000000000), -1);
    expect("ARCH_SET_GS", syscall(SYS_arch_prctl, ARCH_SET_GS, memory), 0);
    expect("set", asked(), (uint64_t)memory);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    struct itimerval timer = {{0, 700}, {0, 700}};
    setitimer(ITIMER_REAL, &timer, NULL);
    calls(11);
    child("inherited by a child", 11);
    expect("signals came", handled > 10, 1);
    pthread_t one;
    pthread_create(&one, NULL, thread, NULL);
    pthread_join(one, NULL);
    by_instruction(other);
    expect("the instruction's", asked(), (uint64_t)other);
    calls(22);
    child("inherited after the instruction", 22);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    raise(SIGUSR1);
    expect("in a handler", seen, 22);
    expect("ARCH_SET_GS", syscall(SYS_arch_prctl, ARCH_SET_GS, 0), 0);
    expect("none", asked(), 0);
    for (int i = 0; i < 100; i++) {
        syscall(SYS_getppid);
    }
    puts("good");
    return 0;
}
