/* Futex calls that the C library does not make for us: those with sizes, requeueing of locks, and what is left by owners
 * that end. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct waiter { uint64_t value, address; uint32_t flags, reserved; };

enum { U32 = 2, PRIVATE = 128, WAITV = 449, WAKE = 454, WAIT = 455, REQUEUE = 456 };
#define WAITERS 0x80000000u

static _Atomic uint32_t words[4];
static atomic_int entered, left;

static const char *name(long result) {
    static char text[4][32];
    static int at;
    char *out = text[at++ % 4];
    if (result == -1) return strerrorname_np(errno);
    snprintf(out, 32, "%ld", result);
    return out;
}

static void settle(void) { usleep(50000); }

static struct timespec in(int milliseconds, clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_nsec += milliseconds * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static void *sleeper(void *argument) {
    atomic_fetch_add(&entered, 1);
    long result = syscall(WAIT, &words[(intptr_t)argument], 0, 1UL, U32 | PRIVATE, NULL, 0);
    if (result == 0) atomic_fetch_add(&left, 1);
    return NULL;
}

static void sized(void) {
    printf("wait: changed %s", name(syscall(WAIT, &words[0], 1, 1UL, U32, NULL, 0)));
    printf(" size %s", name(syscall(WAIT, &words[0], 0, 1UL, 1, NULL, 0)));
    printf(" mask %s", name(syscall(WAIT, &words[0], 0, 0UL, U32, NULL, 0)));
    printf(" wide mask %s", name(syscall(WAIT, &words[0], 0, 1UL << 32, U32, NULL, 0)));
    printf(" wide value %s", name(syscall(WAIT, &words[0], 1UL << 32, 1UL, U32, NULL, 0)));
    printf(" odd %s", name(syscall(WAIT, (char *)words + 1, 0, 1UL, U32, NULL, 0)));
    struct timespec soon = in(10, CLOCK_MONOTONIC), real = in(10, CLOCK_REALTIME);
    printf(" clock %s", name(syscall(WAIT, &words[0], 0, 1UL, U32, &soon, 7)));
    printf(" timeout %s", name(syscall(WAIT, &words[0], 0, 1UL, U32, &soon, CLOCK_MONOTONIC)));
    printf(" %s\n", name(syscall(WAIT, &words[0], 0, 1UL, U32, &real, CLOCK_REALTIME)));
    printf("wake: none %s", name(syscall(WAKE, &words[0], 1UL, 5, U32)));
    printf(" size %s mask %s", name(syscall(WAKE, &words[0], 1UL, 5, 3)), name(syscall(WAKE, &words[0], 0UL, 5, U32)));
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) pthread_create(&threads[i], NULL, sleeper, NULL);
    while (entered < 6) usleep(1000);
    settle();
    printf(" zero %s", name(syscall(WAKE, &words[0], 1UL, 0, U32 | PRIVATE)));
    printf(" other mask %s", name(syscall(WAKE, &words[0], 2UL, 6, U32 | PRIVATE)));
    printf(" two %s\n", name(syscall(WAKE, &words[0], 1UL, 2, U32 | PRIVATE)));
    struct waiter pair[2] = {
        {.value = 1, .address = (uintptr_t)&words[0], .flags = U32 | PRIVATE},
        {.value = 0, .address = (uintptr_t)&words[1], .flags = U32 | PRIVATE},
    };
    printf("requeue: changed %s", name(syscall(REQUEUE, pair, 0, 1, 2)));
    pair[0].value = 0;
    printf(" flags %s null %s negative %s", name(syscall(REQUEUE, pair, 1, 1, 2)),
           name(syscall(REQUEUE, NULL, 0, 1, 2)), name(syscall(REQUEUE, pair, 0, -1, 2)));
    printf(" moved %s", name(syscall(REQUEUE, pair, 0, 1, 2)));
    printf(" rest %s", name(syscall(WAKE, &words[0], 1UL, 9, U32 | PRIVATE)));
    printf(" there %s\n", name(syscall(WAKE, &words[1], 1UL, 9, U32 | PRIVATE)));
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    printf("left %d\n", (int)left);
}

static void *several(void *argument) {
    struct waiter both[3] = {
        {.value = 0, .address = (uintptr_t)&words[0], .flags = U32 | PRIVATE},
        {.value = 0, .address = (uintptr_t)&words[1], .flags = U32},
        {.value = 0, .address = (uintptr_t)&words[2], .flags = U32 | PRIVATE},
    };
    return (void *)syscall(WAITV, both, 3, 0, NULL, 0);
}

static void vectors(void) {
    struct waiter one = {.value = 1, .address = (uintptr_t)&words[0], .flags = U32};
    printf("waitv: changed %s", name(syscall(WAITV, &one, 1, 0, NULL, 0)));
    one.value = 1UL << 32;
    printf(" wide %s none %s", name(syscall(WAITV, &one, 1, 0, NULL, 0)), name(syscall(WAITV, &one, 0, 0, NULL, 0)));
    one.value = 0;
    one.reserved = 1;
    printf(" reserved %s", name(syscall(WAITV, &one, 1, 0, NULL, 0)));
    one.reserved = 0;
    struct timespec soon = in(10, CLOCK_MONOTONIC);
    printf(" timeout %s", name(syscall(WAITV, &one, 1, 0, &soon, CLOCK_MONOTONIC)));
    pthread_t thread;
    pthread_create(&thread, NULL, several, NULL);
    settle();
    printf(" wake %s", name(syscall(WAKE, &words[1], 1UL, 1, U32)));
    void *result;
    pthread_join(thread, &result);
    printf(" by %ld\n", (long)result);
}

static _Atomic uint32_t lock, condition;

static long futex(_Atomic uint32_t *word, int op, uint32_t value, uintptr_t second, void *other, uint32_t third) {
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, second, other, third);
}

static void *lock_waiter(void *argument) {
    atomic_fetch_add(&entered, 1);
    long result = futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, 0, (void *)&lock, 0);
    int mine = (lock & FUTEX_TID_MASK) == (uint32_t)gettid();
    if (result != 0 || !mine) printf(" wrong: %s %d", name(result), mine);
    else atomic_fetch_add(&left, 1);
    futex(&lock, FUTEX_UNLOCK_PI, 0, 0, NULL, 0);
    return argument;
}

static void locks(void) {
    printf("requeue to a lock: same %s", name(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, 0, (void *)&condition, 0)));
    printf(" changed %s", name(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 1, 0, (void *)&lock, 0)));
    struct timespec soon = in(10, CLOCK_MONOTONIC);
    printf(" timeout %s", name(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, (uintptr_t)&soon, (void *)&lock, 0)));
    printf(" two %s", name(futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, 5, (void *)&lock, 0)));
    printf(" nobody %s", name(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 5, (void *)&lock, 0)));
    entered = left = 0;
    pthread_t threads[5];
    for (int i = 0; i < 5; i++) pthread_create(&threads[i], NULL, lock_waiter, NULL);
    while (entered < 5) usleep(1000);
    settle();
    printf(" wake %s", name(futex(&condition, FUTEX_WAKE, 9, 0, NULL, 0)));
    printf(" compared %s", name(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 5, (void *)&lock, 7)));
    printf(" lock %s", name(futex(&lock, FUTEX_LOCK_PI, 0, 0, NULL, 0)));
    printf(" moved %s", name(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 1, (void *)&lock, 0)));
    printf(" waiters %d unlocked %d", lock & WAITERS ? 1 : 0, (int)left);
    printf(" unlock %s", name(futex(&lock, FUTEX_UNLOCK_PI, 0, 0, NULL, 0)));
    while (left < 2) usleep(1000);
    printf(" then %d", (int)left);
    printf(" free %s", name(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, 9, (void *)&lock, 0)));
    for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
    printf(" all %d word %x\n", (int)left, lock);
}

static void robust(int protocol) {
    pthread_mutex_t *mutex = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&attributes, protocol);
    pthread_mutex_init(mutex, &attributes);
    for (int round = 0; round < 2; round++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_mutex_lock(mutex);
            if (round == 1) settle();
            _exit(0);
        }
        if (round == 0) waitpid(child, NULL, 0);
        else usleep(20000);
        printf(" %s", strerrorname_np(pthread_mutex_lock(mutex)));
        printf(" %s", strerrorname_np(pthread_mutex_consistent(mutex)));
        pthread_mutex_unlock(mutex);
        if (round == 1) waitpid(child, NULL, 0);
    }
}

int main(void) {
    sized();
    vectors();
    locks();
    printf("owners that end:");
    robust(PTHREAD_PRIO_NONE);
    robust(PTHREAD_PRIO_INHERIT);
    printf("\n");
    return 0;
}
