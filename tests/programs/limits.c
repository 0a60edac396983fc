/* Resource limits of a plain user: who may change them, and what happens at each. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t over;

static void count(int signal) {
    (void)signal;
    over++;
}

static const char *name(long result) { return result == -1 ? strerrorname_np(errno) : "ok"; }

static void limit(int resource, rlim_t soft, rlim_t hard) {
    struct rlimit new = {soft, hard};
    printf(" set %s", name(setrlimit(resource, &new)));
}

/* Runs each part in a process of its own, which shows how it ended. */
static void in_child(const char *what, void (*part)(void)) {
    printf("%s:", what);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        part();
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) printf(" signal %d", WTERMSIG(status));
    printf(" exit %d\n", WEXITSTATUS(status));
}

static void rules(void) {
    limit(RLIMIT_FSIZE, 100, 1000);
    limit(RLIMIT_FSIZE, 1001, 1000);
    limit(RLIMIT_FSIZE, 1000, 1001);
    limit(RLIMIT_FSIZE, 1000, 1000);
    limit(RLIMIT_FSIZE, 0, 10);
    limit(RLIMIT_FSIZE, 0, 11);
    limit(99, 0, 0);
    struct rlimit old;
    printf(" other %s", name(prlimit(getppid(), RLIMIT_STACK, NULL, &old)));
    printf(" gone %s", name(prlimit(0x3fffff, RLIMIT_STACK, NULL, &old)));
    printf(" init %s", name(prlimit(1, RLIMIT_FSIZE, NULL, NULL)) ? "answered" : "");
    struct rlimit parent = {7, 77}, back;
    prlimit(getppid(), RLIMIT_CORE, &parent, NULL);
    prlimit(getppid(), RLIMIT_CORE, NULL, &back);
    printf(" core %ld", (long)back.rlim_cur);
}

static void file_size(void) {
    char buffer[64];
    memset(buffer, 'x', sizeof buffer);
    signal(SIGXFSZ, count);
    int fd = memfd_create("limited", 0), big = memfd_create("big", 0);
    ftruncate(big, 1000);
    limit(RLIMIT_FSIZE, 100, 100);
    for (int i = 0; i < 4; i++) {
        ssize_t done = write(fd, buffer, sizeof buffer);
        printf(" %zd/%s/%d", done, name(done), (int)over);
    }
    ssize_t done = pwrite(fd, buffer, sizeof buffer, 90);
    printf(" pwrite %zd", done);
    printf(" %s", name(pwrite(fd, buffer, 1, 100)));
    printf(" nothing %zd", pwrite(fd, buffer, 0, 200));
    printf(" ftruncate %s %s", name(ftruncate(fd, 101)), name(ftruncate(fd, 100)));
    printf(" shrink %s", name(ftruncate(big, 500)));
    printf(" fallocate %s %s", name(fallocate(fd, 0, 0, 101)), name(fallocate(fd, 0, 0, 100)));
    lseek(big, 0, SEEK_SET);
    lseek(fd, 95, SEEK_SET);
    done = sendfile(fd, big, NULL, 64);
    printf(" sendfile %zd", done);
    fcntl(fd, F_SETFL, O_APPEND);
    printf(" append %s", name(write(fd, buffer, 1)));
    int ends[2];
    pipe(ends);
    for (int i = 0; i < 3; i++) write(ends[1], buffer, sizeof buffer);
    printf(" pipe ok signals %d", (int)over);
}

static void file_size_kills(void) {
    int fd = memfd_create("limited", 0);
    limit(RLIMIT_FSIZE, 0, 0);
    fflush(stdout);
    write(fd, "x", 1);
}

static void spin(double seconds) {
    struct timespec now;
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_sec + now.tv_nsec / 1e9 < seconds);
}

static void cpu_time(void) {
    limit(RLIMIT_CPU, 1, 2);
    signal(SIGXCPU, count);
    fflush(stdout);
    struct timespec now;
    while (!over) spin(0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    printf(" soft after %s", now.tv_sec + now.tv_nsec / 1e9 > 0.8 && now.tv_sec < 2 ? "1 s" : "another time");
    fflush(stdout);
    spin(60);
}

static void *map(size_t len, int prot, int flags) {
    return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

static const size_t MIB = 1 << 20;

static void address_space(void) {
    limit(RLIMIT_AS, 512 * MIB, RLIM_INFINITY);
    printf(" big %s", name((long)map(600 * MIB, PROT_READ, 0)));
    printf(" none %s", name((long)map(600 * MIB, PROT_NONE, MAP_NORESERVE)));
    char *some = map(256 * MIB, PROT_READ | PROT_WRITE, 0);
    printf(" some %s", name((long)some));
    printf(" again %s", name((long)map(256 * MIB, PROT_READ | PROT_WRITE, 0)));
    /* What it replaces does not count twice. */
    printf(" over %s", name((long)mmap(some, 256 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
    printf(" grow %s", name((long)mremap(some, 256 * MIB, 511 * MIB, MREMAP_MAYMOVE)));
    printf(" brk %s", name((long)sbrk(300 * MIB)));
    munmap(some, 256 * MIB);
    printf(" now %s", name((long)map(256 * MIB, PROT_READ | PROT_WRITE, 0)));
    printf(" malloc %s", malloc(400 * MIB) ? "there" : strerrorname_np(errno));
}

static void data(void) {
    limit(RLIMIT_DATA, 64 * MIB, RLIM_INFINITY);
    char *code = map(128 * MIB, PROT_READ, 0);
    printf(" read-only %s", name((long)code));
    printf(" writable %s", name((long)map(128 * MIB, PROT_READ | PROT_WRITE, 0)));
    printf(" mprotect %s", name(mprotect(code, 128 * MIB, PROT_READ | PROT_WRITE)));
    printf(" part %s", name(mprotect(code, 16 * MIB, PROT_READ | PROT_WRITE)));
    printf(" brk %s", name((long)sbrk(100 * MIB)));
    printf(" small %s", name((long)sbrk(4096)));
    printf(" shared %s", name((long)mmap(NULL, 128 * MIB, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0)));
}

static long locked(void) {
    char line[128];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status)) sscanf(line, "VmLck: %ld", &kib);
    fclose(status);
    return kib;
}

static void memory_locks(void) {
    limit(RLIMIT_MEMLOCK, 65536, 65536);
    char *area = map(MIB, PROT_READ | PROT_WRITE, 0);
    printf(" 32K %s", name(mlock(area, 32768)));
    printf(" again %s", name(mlock(area, 32768)));
    printf(" 64K %s", name(mlock(area, 65536)));
    printf(" more %s %ldK", name(mlock(area + 65536, 1)), locked());
    printf(" unlock %s %ldK", name(munlock(area + 4096, 4096)), locked());
    printf(" flags %s", name(syscall(SYS_mlock2, area, 4096, 4)));
    printf(" on fault %s", name(syscall(SYS_mlock2, area + 4096, 4096, 1)));
    munmap(area, 65536);
    printf(" unmapped %ldK %s", locked(), name(mlock(area, 4096)));
    printf(" all %s", name(mlockall(MCL_CURRENT)));
    printf(" nonsense %s %s", name(mlockall(0)), name(mlockall(MCL_ONFAULT)));
    printf(" future %s", name(mlockall(MCL_FUTURE)));
    printf(" mmap %s %s", name((long)map(131072, PROT_READ, 0)), name((long)map(4096, PROT_READ, 0)));
    printf(" %ldK", locked());
    printf(" back %s", name(munlockall()));
    printf(" MAP_LOCKED %s %s", name((long)map(131072, 3, MAP_LOCKED)), name((long)map(8192, 3, MAP_LOCKED)));
    printf(" %ldK", locked());
    fflush(stdout);
    if (fork() == 0) {
        printf(" child %ldK", locked());
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    limit(RLIMIT_MEMLOCK, 0, 0);
    printf(" none %s %s", name(mlock(area + 131072, 4096)), name((long)map(4096, 3, MAP_LOCKED)));
    printf(" %s", name(mlockall(MCL_FUTURE)));
}

static void *nothing(void *argument) { return argument; }

static void processes(void) {
    limit(RLIMIT_NPROC, 1, 1);
    printf(" fork %s", name(fork()));
    pthread_t thread;
    printf(" thread %s", strerrorname_np(pthread_create(&thread, NULL, nothing, NULL)));
    printf(" still here %s", name(setrlimit(RLIMIT_NPROC, &(struct rlimit){0, 1})));
}

static void *first(void *argument) {
    *(rlim_t *)argument = 0;
    struct rlimit own;
    prlimit(gettid(), RLIMIT_NOFILE, NULL, &own);
    *(rlim_t *)argument = own.rlim_cur;
    return NULL;
}

static void threads_share(void) {
    limit(RLIMIT_NOFILE, 77, 100);
    rlim_t seen = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, first, &seen);
    pthread_join(thread, NULL);
    printf(" seen %d", (int)seen);
}

int main(void) {
    in_child("rules", rules);
    in_child("file size", file_size);
    in_child("file size kills", file_size_kills);
    in_child("CPU time", cpu_time);
    in_child("address space", address_space);
    in_child("data", data);
    in_child("memory locks", memory_locks);
    in_child("processes", processes);
    in_child("threads", threads_share);
    return 0;
}
