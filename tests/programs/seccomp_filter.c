/* Filters of system calls that a program installs for itself: seccomp(2). */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

static int install(struct sock_filter *code, int len, unsigned flags) {
    struct sock_fprog program = {.len = len, .filter = code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Answers `what` to one call and lets all others pass. */
static int answer(int number, unsigned what, unsigned flags) {
    struct sock_filter code[] = {
        LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),            RETURN(what),
        RETURN(SECCOMP_RET_ALLOW),
    };
    return install(code, 7, flags);
}

static void status_lines(void) {
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNewPrivs", 10)) fputs(line, stdout);
    if (f) fclose(f);
}

static void on_trap(int signal, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    long long ip = c->uc_mcontext.gregs[REG_RIP];
    printf("signal %d code %d errno %d call %d arch %x here %d rax %lld\n", signal, info->si_code, info->si_errno,
           info->si_syscall, info->si_arch, (long long)(uintptr_t)info->si_call_addr == ip, (long long)c->uc_mcontext.gregs[REG_RAX]);
    c->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void *until_refused(void *argument) {
    while (syscall(SYS_getuid) != -1) usleep(100);
    return argument;
}

static void *nothing_more(void *argument) {
    syscall(SYS_getuid);
    puts("not reached");
    return argument;
}

static void trap(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    printf("install %d\n", answer(SYS_getuid, SECCOMP_RET_TRAP | 5, 0));
    printf("answer %ld\n", syscall(SYS_getuid));
}

static void blocked_trap(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    trap();
    sigprocmask(SIG_BLOCK, &set, NULL);
    fflush(stdout);
    syscall(SYS_getuid);
    puts("not reached");
}

static void errors(void) {
    /* Often enough that the call site is as fast as it gets. */
    for (int i = 0; i < 1000; i++) syscall(SYS_getuid);
    printf("install %d\n", answer(SYS_getuid, SECCOMP_RET_ERRNO | 77, 0));
    long result = syscall(SYS_getuid);
    printf("getuid %ld %d\n", result, errno);
    errno = 0;
    printf("getuid %d\n", (int)getuid() == -77);
    printf("install %d\n", answer(SYS_getgid, SECCOMP_RET_ERRNO | 0xffff, 0));
    result = syscall(SYS_getgid);
    printf("getgid %ld %d\n", result, errno);
    /* The newest of equal actions, the most severe of others. */
    answer(SYS_getuid, SECCOMP_RET_ERRNO | 78, 0);
    syscall(SYS_getuid);
    printf("getuid %d\n", errno);
    answer(SYS_getuid, SECCOMP_RET_LOG, 0);
    syscall(SYS_getuid);
    printf("getuid %d\n", errno);
    answer(SYS_getegid, SECCOMP_RET_TRACE, 0);
    syscall(SYS_getegid);
    printf("getegid %d\n", errno == ENOSYS);
    answer(SYS_geteuid, SECCOMP_RET_ERRNO, 0);
    printf("geteuid %ld\n", syscall(SYS_geteuid));
    status_lines();
    pid_t pid = fork();
    if (pid == 0) {
        errno = 0;
        syscall(SYS_getuid);
        printf("child %d\n", errno);
        fflush(stdout);
        execl("/proc/self/exe", "seccomp_filter", "again", NULL);
        _exit(1);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("child ended %d\n", status);
}

static void arguments(void) {
    /* dup of descriptor 0x1_0000_0001: its upper half tells it from stdout. */
    struct sock_filter code[] = {
        LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup, 0, 5),
        LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1), RETURN(SECCOMP_RET_ERRNO | 99), RETURN(SECCOMP_RET_ALLOW),
    };
    printf("install %d\n", install(code, 8, 0));
    printf("dup %d\n", syscall(SYS_dup, 1) >= 0);
    long result = syscall(SYS_dup, 0x100000001);
    printf("dup %ld %d\n", result, errno);
}

static void kill_process(void) {
    answer(SYS_getuid, SECCOMP_RET_KILL_PROCESS, 0);
    signal(SIGSYS, SIG_IGN);
    syscall(SYS_getuid);
    puts("not reached");
}

static void kill_thread(void) {
    pthread_t thread;
    answer(SYS_getuid, SECCOMP_RET_KILL_THREAD, 0);
    fflush(stdout);
    pthread_create(&thread, NULL, nothing_more, NULL);
    usleep(100000);
    puts("the others live");
    fflush(stdout);
    syscall(SYS_getuid);
    puts("not reached");
}

static void synchronise(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, until_refused, NULL);
    usleep(20000);
    printf("install %d\n", answer(SYS_getuid, SECCOMP_RET_ERRNO | 1, SECCOMP_FILTER_FLAG_TSYNC));
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    puts("all have it");
}

static void *with_own_filter(void *argument) {
    answer(SYS_getgid, SECCOMP_RET_ERRNO | 1, 0);
    *(volatile int *)argument = 1;
    sleep(5);
    return NULL;
}

static void cannot_synchronise(void) {
    pthread_t thread;
    volatile int ready = 0;
    pthread_create(&thread, NULL, with_own_filter, (void *)&ready);
    while (!ready) usleep(1000);
    printf("install %d\n", answer(SYS_getuid, SECCOMP_RET_ERRNO | 1, SECCOMP_FILTER_FLAG_TSYNC) > 0);
    int result = answer(SYS_getuid, SECCOMP_RET_ERRNO | 1, SECCOMP_FILTER_FLAG_TSYNC | (1 << 4));
    printf("install %d %d\n", result, errno == ESRCH);
}

static void strict(void) {
    printf("strict %d\n", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
    fflush(stdout);
    if (write(1, "written\n", 8) != 8) _exit(1);
    syscall(SYS_getuid);
    write(1, "not reached\n", 12);
}

static void strict_exit(void) {
    fflush(stdout);
    syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
    syscall(SYS_exit, 7);
}

static void refused(void) {
    struct sock_filter fall[] = {LOAD(nr)};
    struct sock_filter outside[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RETURN(SECCOMP_RET_ALLOW)};
    struct sock_filter byte[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RETURN(SECCOMP_RET_ALLOW)};
    struct sock_filter good[] = {RETURN(SECCOMP_RET_ALLOW)};
    printf("%d %d\n", install(fall, 1, 0), errno);
    printf("%d %d\n", install(outside, 2, 0), errno);
    printf("%d %d\n", install(byte, 2, 0), errno);
    printf("%d %d\n", install(good, 0, 0), errno);
    printf("%d %d\n", install(good, 1, 1 << 20), errno);
    printf("%d %d\n", (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (void *)8), errno);
    printf("%d %d\n", (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL), errno);
    printf("%d %d\n", (int)syscall(SYS_seccomp, 99, 0, NULL), errno);
    uint32_t actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
                          SECCOMP_RET_TRACE,        SECCOMP_RET_LOG,         SECCOMP_RET_ALLOW, 0x12340000};
    for (int i = 0; i < 8; i++)
        printf("action %x: %d\n", actions[i], (int)syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]));
}

static void run(const char *name, void (*part)(void)) {
    printf("-- %s\n", name);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        part();
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) printf("killed by %d\n", WTERMSIG(status));
    else printf("exit %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (argc > 1 && !strcmp(argv[1], "again")) {
        syscall(SYS_getuid);
        printf("after exec %d\n", errno);
        return 3;
    }
    // How programs find out that there are filters: not by their rights.
    int result = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL);
    printf("by prctl without a filter %d: %m\n", result);
    result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, NULL);
    printf("without a filter %d: %m\n", result);
    result = install(NULL, 0, 0);
    printf("an empty filter %d: %m\n", result);
    result = install(NULL, 1, 0);
    printf("a filter that cannot be read %d: %m\n", result);
    printf("without no_new_privs %d %d\n", answer(SYS_getuid, SECCOMP_RET_ERRNO, 0), errno);
    printf("mode %d\n", prctl(PR_GET_SECCOMP));
    status_lines();
    run("errors", errors);
    run("trap", trap);
    run("blocked trap", blocked_trap);
    run("arguments", arguments);
    run("kill process", kill_process);
    run("kill thread", kill_thread);
    run("synchronise", synchronise);
    run("cannot synchronise", cannot_synchronise);
    run("strict", strict);
    run("strict exit", strict_exit);
    run("refused", refused);
    return 0;
}
