/* What a process can see and take of another one of the same user, and what it keeps from its children. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

enum { PAGE = 4096 };

static const char *name(long result) {
    static char text[4][32];
    static int at;
    char *out = text[at++ % 4];
    if (result == -1) return strerrorname_np(errno);
    snprintf(out, 32, "%ld", result);
    return out;
}

static ssize_t move(int call, pid_t pid, void *here, void *there, size_t len) {
    struct iovec local = {here, len}, remote = {there, len};
    return syscall(call, pid, &local, 1, &remote, 1, 0);
}

static char private[3 * 1024 * 1024];
static volatile int spins;

/* A child whose memory differs from ours: it spins, sleeps, is stopped or waits for a child of its own. */
static pid_t child_that(const char *does) {
    int ends[2];
    char ready;
    pipe(ends);
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < sizeof private; i++) private[i] = (char)(i * 7 + 1);
        write(ends[1], "x", 1);
        if (!strcmp(does, "spins")) for (;;) spins++;
        if (!strcmp(does, "stops")) raise(SIGSTOP);
        if (!strcmp(does, "waits") && vfork() == 0) {
            usleep(300000);
            _exit(0);
        }
        for (;;) pause();
    }
    read(ends[0], &ready, 1);
    close(ends[0]);
    close(ends[1]);
    if (!strcmp(does, "stops")) waitpid(pid, NULL, WUNTRACED);
    return pid;
}

static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void memory_of(const char *does) {
    pid_t pid = child_that(does);
    char *copy = malloc(sizeof private);
    ssize_t got = move(SYS_process_vm_readv, pid, copy, private, sizeof private);
    int wrong = 0;
    for (size_t i = 0; i < sizeof private; i++) wrong += copy[i] != (char)(i * 7 + 1);
    memset(copy, 'w', 1000);
    ssize_t put = move(SYS_process_vm_writev, pid, copy, private + 5000, 1000);
    memset(copy, 0, 1000);
    move(SYS_process_vm_readv, pid, copy, private + 4999, 1002);
    int placed = copy[0] == (char)(4999 * 7 + 1) && copy[1] == 'w' && copy[1000] == 'w' && copy[1001] == (char)(6000 * 7 + 1);
    printf("%s: read %zd wrong %d written %zd placed %d own %d\n", does, got, wrong, put, placed, private[5000]);
    end(pid);
    free(copy);
}

static void memory(void) {
    memory_of("spins");
    memory_of("sleeps");
    memory_of("stops");
    memory_of("waits");
    char here[64] = "";
    pid_t pid = child_that("sleeps");
    struct iovec local[2] = {{here, 10}, {here + 10, 54}}, remote[3] = {{private, 5}, {private + 100, 20}, {private + 7, 30}};
    printf("lists %s", name(syscall(SYS_process_vm_readv, pid, local, 2, remote, 3, 0)));
    int right = here[0] == 1 && here[4] == (char)(4 * 7 + 1) && here[5] == (char)(100 * 7 + 1) && here[25] == (char)(7 * 7 + 1);
    printf(" right %d flags %s", right, name(syscall(SYS_process_vm_readv, pid, local, 2, remote, 3, 1)));
    printf(" gone %s", name(move(SYS_process_vm_readv, 0x3fffff, here, private, 1)));
    printf(" nothing %s", name(move(SYS_process_vm_readv, 0x3fffff, here, private, 0)));
    printf(" bad %s", name(move(SYS_process_vm_readv, pid, here, (void *)16, 1)));
    printf(" own %s", name(move(SYS_process_vm_readv, getpid(), here, private, 8)));
    printf(" read-only %s", name(move(SYS_process_vm_writev, pid, here, (void *)"text", 4)));
    char *edge = mmap(NULL, 2 * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    end(pid);
    pid = child_that("sleeps");
    munmap(edge + PAGE, PAGE);
    printf(" short %s\n", name(move(SYS_process_vm_readv, getpid(), private, edge + PAGE - 10, 20)));
    end(pid);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_DUMPABLE, 0);
        for (;;) pause();
    }
    while (move(SYS_process_vm_readv, pid, here, private, 1) != -1) usleep(1000);
    printf("not dumpable %s\n", name(move(SYS_process_vm_readv, pid, here, private, 1)));
    end(pid);
}

static void descriptors(void) {
    int ends[2], ready[2];
    char text[16] = "";
    pipe(ready);
    pid_t pid = fork();
    if (pid == 0) {
        pipe(ends);
        dup2(ends[0], 100);
        write(ends[1], "from afar", 9);
        write(ready[1], "x", 1);
        for (;;) pause();
    }
    read(ready[0], text, 1);
    int pidfd = syscall(SYS_pidfd_open, pid, 0);
    int fd = syscall(SYS_pidfd_getfd, pidfd, 100, 0);
    printf("getfd %s", fd >= 0 ? "ok" : name(fd));
    ssize_t got = read(fd, text, sizeof text);
    printf(" read %zd %.9s cloexec %d", got, text, fcntl(fd, F_GETFD));
    printf(" missing %s flags %s", name(syscall(SYS_pidfd_getfd, pidfd, 99, 0)), name(syscall(SYS_pidfd_getfd, pidfd, 100, 1)));
    printf(" no pidfd %s\n", name(syscall(SYS_pidfd_getfd, 0, 100, 0)));
    int other = dup(ready[0]);
    printf("kcmp: dup %s", name(syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, ready[0], other)));
    printf(" inherited %s", name(syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, ready[1], ready[1])));
    printf(" taken %s", name(syscall(SYS_kcmp, pid, getpid(), KCMP_FILE, 100, fd)));
    long a = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, ready[0], ready[1]);
    long b = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, ready[1], ready[0]);
    printf(" different %d", (a == 1 && b == 2) || (a == 2 && b == 1));
    printf(" bad %s %s", name(syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 77, 0)), name(syscall(SYS_kcmp, getpid(), pid, 99, 0, 0)));
    printf(" gone %s", name(syscall(SYS_kcmp, getpid(), 0x3fffff, KCMP_VM, 0, 0)));
    for (int type = KCMP_VM; type <= KCMP_SIGHAND; type++) {
        printf(" %d/%d", syscall(SYS_kcmp, getpid(), getpid(), type, 0, 0) == 0, syscall(SYS_kcmp, getpid(), pid, type, 0, 0) == 0);
    }
    printf("\nmrelease: alive %s flags %s", name(syscall(SYS_process_mrelease, pidfd, 0)), name(syscall(SYS_process_mrelease, pidfd, 1)));
    kill(pid, SIGKILL);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    poll(&ended, 1, -1);
    waitpid(pid, NULL, 0);
    printf(" gone %s getfd %s\n", name(syscall(SYS_process_mrelease, pidfd, 0)), name(syscall(SYS_pidfd_getfd, pidfd, 0, 0)));
}

static char *map(int pages, int prot, int flags) {
    char *at = mmap(NULL, pages * PAGE, prot, flags | MAP_ANONYMOUS, -1, 0);
    if (prot & PROT_WRITE) memset(at, 'a', pages * PAGE);
    return at;
}

static int child_sees(const char *at) {
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(*(volatile const char *)at == 'a');
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void advice(void) {
    char *some = map(4, 3, MAP_PRIVATE), *shared = map(2, 3, MAP_SHARED);
    printf("madvise: dontfork %s", name(madvise(some + PAGE, PAGE, MADV_DONTFORK)));
    printf(" %d %d %d", child_sees(some), child_sees(some + PAGE), child_sees(some + 2 * PAGE));
    printf(" dofork %s", name(madvise(some, 4 * PAGE, MADV_DOFORK)));
    printf(" %d", child_sees(some + PAGE));
    printf(" wipe %s", name(madvise(some, PAGE, MADV_WIPEONFORK)));
    printf(" %d own %c", child_sees(some), *some);
    printf(" keep %s", name(madvise(some, PAGE, MADV_KEEPONFORK)));
    printf(" %d", child_sees(some));
    printf(" wipe shared %s", name(madvise(shared, PAGE, MADV_WIPEONFORK)));
    printf(" remove %s", name(madvise(shared, PAGE, MADV_REMOVE)));
    printf(" %d %d", *shared, shared[PAGE]);
    printf(" remove private %s", name(madvise(some, PAGE, MADV_REMOVE)));
    printf(" free %s free shared %s", name(madvise(some, PAGE, MADV_FREE)), name(madvise(shared, PAGE, MADV_FREE)));
    printf(" cold %s pageout %s", name(madvise(some, PAGE, MADV_COLD)), name(madvise(some, PAGE, MADV_PAGEOUT)));
    printf(" populate %s %s", name(madvise(some, 4 * PAGE, MADV_POPULATE_WRITE)), name(madvise(shared, PAGE, MADV_POPULATE_READ)));
    mlock(some, PAGE);
    printf(" locked %s %s", name(madvise(some, PAGE, MADV_DONTNEED)), name(madvise(some, PAGE, MADV_COLD)));
    munlock(some, PAGE);
    printf(" unknown %s odd %s", name(madvise(some, PAGE, 77)), name(madvise(some + 1, PAGE, 0)));
    munmap(some + PAGE, PAGE);
    printf(" hole %s %s %s\n", name(madvise(some, 3 * PAGE, MADV_DONTNEED)), name(madvise(some, 3 * PAGE, MADV_WILLNEED)), name(madvise(some, 3 * PAGE, MADV_DONTFORK)));
}

static void others_advice(void) {
    pid_t pid = child_that("sleeps");
    int own = syscall(SYS_pidfd_open, getpid(), 0), other = syscall(SYS_pidfd_open, pid, 0);
    char *some = map(2, 3, MAP_PRIVATE);
    struct iovec range = {some, 2 * PAGE}, gone = {(void *)PAGE, PAGE};
    printf("process_madvise: own %s", name(syscall(SYS_process_madvise, own, &range, 1, MADV_COLD, 0)));
    printf(" other %s", name(syscall(SYS_process_madvise, other, &range, 1, MADV_COLD, 0)));
    printf(" flags %s", name(syscall(SYS_process_madvise, own, &range, 1, MADV_COLD, 1)));
    printf(" unmapped %s\n", name(syscall(SYS_process_madvise, own, &gone, 1, MADV_COLD, 0)));
    end(pid);
}

static void seals(void) {
    char *some = map(3, 3, MAP_PRIVATE), *constant = map(1, 3, MAP_PRIVATE);
    long sealed = syscall(SYS_mseal, some + PAGE, PAGE, 0);
    printf("mseal: %s flags %s odd %s", name(sealed), name(syscall(SYS_mseal, some, PAGE, 1)), name(syscall(SYS_mseal, some + 1, PAGE, 0)));
    printf(" munmap %s %s", name(munmap(some, 3 * PAGE)), name(munmap(some, PAGE)));
    printf(" mprotect %s", name(mprotect(some + PAGE, PAGE, PROT_READ)));
    printf(" over %s", mmap(some + PAGE, PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? strerrorname_np(errno) : "mapped");
    printf(" move %s", mremap(some + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? strerrorname_np(errno) : "moved");
    printf(" drop writable %s", name(madvise(some + PAGE, PAGE, MADV_DONTNEED)));
    mprotect(constant, PAGE, PROT_READ);
    syscall(SYS_mseal, constant, PAGE, 0);
    printf(" drop constant %s\n", name(madvise(constant, PAGE, MADV_DONTNEED)));
}

static void file_pages(void) {
    int fd = memfd_create("pages", 0);
    for (char c = 'a'; c < 'e'; c++) {
        char page[PAGE];
        memset(page, c, PAGE);
        write(fd, page, PAGE);
    }
    char *some = mmap(NULL, 4 * PAGE, 3, MAP_SHARED, fd, 0), *private = mmap(NULL, PAGE, 3, MAP_PRIVATE, fd, 0);
    printf("remap_file_pages %s", name(remap_file_pages(some, PAGE, 0, 3, 0)));
    printf(" shows %c%c", some[0], some[PAGE]);
    printf(" prot %s private %s\n", name(remap_file_pages(some, PAGE, PROT_READ, 1, 0)), name(remap_file_pages(private, PAGE, 0, 1, 0)));
}

static void cloning(void) {
    pid_t wanted = 77;
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
    printf("clone3: set_tid %s", name(syscall(SYS_clone3, &arguments, sizeof arguments)));
    arguments.set_tid_size = 0;
    printf(" without size %s", name(syscall(SYS_clone3, &arguments, sizeof arguments)));
    arguments.set_tid = 0;
    arguments.flags = 1UL << 40;
    printf(" flag %s", name(syscall(SYS_clone3, &arguments, sizeof arguments)));
    arguments.flags = CLONE_VFORK;
    int ends[2];
    pipe2(ends, O_NONBLOCK);
    pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        usleep(100000);
        write(ends[1], "x", 1);
        _exit(0);
    }
    char byte;
    printf(" vfork without vm waited %s\n", name(read(ends[0], &byte, 1)));
    waitpid(pid, NULL, 0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    memory();
    descriptors();
    advice();
    others_advice();
    seals();
    file_pages();
    cloning();
    return 0;
}
