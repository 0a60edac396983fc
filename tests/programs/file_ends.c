/* Mappings beyond the end of a file: SIGBUS behind its last page, zeroes in it, shrinking and growing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static sigjmp_buf back;
static siginfo_t seen;

static void caught(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    seen = *info;
    siglongjmp(back, 1);
}

/* What a touch does: the byte, or minus the signal and its code. */
static int look(volatile char *at) {
    if (sigsetjmp(back, 1)) return -(seen.si_signo * 10 + seen.si_code + (seen.si_addr != at) * 1000);
    return *at;
}

static int put(volatile char *at, char value) {
    if (sigsetjmp(back, 1)) return -(seen.si_signo * 10 + seen.si_code + (seen.si_addr != at) * 1000);
    *at = value;
    return *at;
}

static void pages(const char *what, char *map, int count) {
    printf("%s:", what);
    for (int i = 0; i < count; i++) printf(" %d", look(map + i * PAGE + 5));
    printf("\n");
}

static int open_file(const char *kind) {
    if (!strcmp(kind, "memfd")) return memfd_create("test", 0);
    char path[64];
    snprintf(path, sizeof path, "%s/postern-ends-%d", kind, getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    unlink(path);
    return fd;
}

static void alone(const char *kind, int flags) {
    printf("-- %s %s\n", kind, flags == MAP_SHARED ? "shared" : "private");
    int fd = open_file(kind);
    char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    pages("empty", map, 8);
    ftruncate(fd, 3 * PAGE + 100);
    pages("grown", map, 8);
    printf("put %d %d %d\n", put(map + 5, 1), put(map + 3 * PAGE + 5, 2), put(map + 4 * PAGE, 3));
    printf("behind the end %d %d\n", look(map + 3 * PAGE + 200), put(map + 3 * PAGE + 300, 4));
    ftruncate(fd, PAGE + 100);
    pages("shrunk", map, 8);
    pwrite(fd, "\7\7\7\7\7\7", 6, 5 * PAGE);
    pages("written", map, 8);
    fallocate(fd, 0, 0, 7 * PAGE);
    pages("allocated", map, 8);
    ftruncate(fd, 10);
    printf("zeroed %d\n", put(map + 20, 9));
    ftruncate(fd, 9);
    printf("zeroed %d\n", look(map + 20));
    ftruncate(fd, 0);
    pages("nothing", map, 8);
    ftruncate(fd, 2 * PAGE);
    pages("two", map, 8);
    /* The kernel's own touches. */
    int zero = open("/dev/zero", O_RDONLY);
    errno = 0;
    printf("read into it %zd", read(zero, map + 2 * PAGE, 100));
    printf(" %d\n", errno);
    int pipes[2];
    pipe(pipes);
    errno = 0;
    printf("write from it %zd", write(pipes[1], map + 2 * PAGE, 100));
    printf(" %d\n", errno);
    mprotect(map, 8 * PAGE, PROT_READ);
    pages("read only", map, 4);
    mprotect(map, 8 * PAGE, PROT_READ | PROT_WRITE);
    pages("read and write", map, 4);
    ftruncate(fd, 3 * PAGE);
    printf("read into it %zd\n", read(zero, map + 2 * PAGE, 100));
    munmap(map + PAGE, PAGE);
    ftruncate(fd, PAGE);
    printf("parts %d %d %d\n", look(map), look(map + 2 * PAGE), look(map + 3 * PAGE));
    ftruncate(fd, 8 * PAGE);
    printf("parts %d %d %d\n", look(map), look(map + 2 * PAGE), look(map + 3 * PAGE));
    ftruncate(fd, 5 * PAGE);
    char *moved = mremap(map + 2 * PAGE, 6 * PAGE, 10 * PAGE, MREMAP_MAYMOVE);
    printf("moved %d", moved != MAP_FAILED);
    if (moved != MAP_FAILED) {
        pages("", moved, 10);
        ftruncate(fd, 9 * PAGE);
        pages("grown", moved, 10);
    }
    close(fd);
    close(zero);
}

static void family(const char *kind) {
    printf("-- %s in two processes\n", kind);
    int fd = open_file(kind);
    ftruncate(fd, 4 * PAGE);
    char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    volatile int *step = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(map, 1, 4 * PAGE);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        /* It spins: nothing but the fault tells it. */
        while (*step < 1) {}
        pages("child after shrinking", map, 8);
        fflush(stdout);
        *step = 2;
        while (*step < 3) {}
        pages("child after growing", map, 8);
        char bytes[2 * PAGE];
        int pipes[2];
        pipe(pipes);
        printf("writes %zd\n", write(pipes[1], map + 5 * PAGE, 2 * PAGE));
        printf("reads %zd\n", read(pipes[0], bytes, sizeof bytes));
        exit(0);
    }
    ftruncate(fd, 2 * PAGE - 1);
    *step = 1;
    while (*step < 2) usleep(100);
    ftruncate(fd, 7 * PAGE);
    *step = 3;
    int status;
    waitpid(child, &status, 0);
    pages("parent", map, 8);
    printf("status %d\n", status);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 3; i++) {
        const char *kind = (const char *[]){"/dev/shm", "/tmp", "memfd"}[i];
        alone(kind, MAP_SHARED);
        alone(kind, MAP_PRIVATE);
        family(kind);
    }
    return 0;
}
