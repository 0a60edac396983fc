/* What an attacker who owns the picoprocess tries: every system call number with arguments that would change or read
   the host, once by its own instruction and once by the library OS's own gate. Prints what succeeded that must not. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* fn(number, a1 … a6): the library OS's own function around its `syscall` instruction, first in its gate page. */
typedef long (*gate)(long, long, long, long, long, long, long);
static const gate through_gate = (gate)0x2a0000001000;

static char path[] = "/etc/shadow", target[] = "/tmp/postern-hostile", argv0[] = "sh";
static char *const argv[] = {argv0, NULL};

/* Calls that would end or stop this program, wait for ever, or take away what the test itself needs. */
static int is_fatal(long n) {
    switch (n) {
    case SYS_exit: case SYS_exit_group: case SYS_pause: case SYS_rt_sigreturn: case SYS_rt_sigsuspend:
    case SYS_munmap: case SYS_mremap: case SYS_mprotect: case SYS_mmap: case SYS_brk: case SYS_futex:
    case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_fork: case SYS_vfork: case SYS_clone: case SYS_clone3:
    case SYS_close: case SYS_close_range: case SYS_rt_sigtimedwait: case SYS_wait4: case SYS_waitid: case SYS_select:
    case SYS_pselect6: case SYS_poll: case SYS_ppoll: case SYS_epoll_wait: case SYS_nanosleep:
    case SYS_clock_nanosleep: case SYS_madvise: case SYS_read: case SYS_readv: case SYS_preadv: case SYS_preadv2:
    case SYS_arch_prctl: case SYS_set_tid_address: case SYS_sigaltstack: case SYS_rt_sigaction: case SYS_alarm:
    case SYS_setitimer: case SYS_dup2: case SYS_dup3: case SYS_execve: case SYS_execveat: case SYS_setrlimit:
    case SYS_prlimit64: case SYS_rt_sigprocmask: case SYS_seccomp: case SYS_prctl: case SYS_recvmsg: case SYS_sendmsg:
    case SYS_ftruncate: case SYS_fallocate: case SYS_write: case SYS_writev: case SYS_pwritev: case SYS_pwritev2:
    case SYS_set_robust_list: case SYS_rseq: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo:
    case SYS_epoll_pwait: case SYS_epoll_pwait2: case SYS_futex_waitv:
        return 1;
    }
    return 0;
}

/* The gate must refuse everything but the calls of the filter. */
static int is_allowed_at_gate(long n) {
    static const long allowed[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_clone, SYS_futex,
                                   SYS_preadv2, SYS_pwritev2, SYS_recvmsg, SYS_sendmsg, SYS_ppoll, SYS_close,
                                   SYS_tgkill, SYS_exit, SYS_rt_sigreturn, SYS_sigaltstack, SYS_ftruncate,
                                   SYS_fallocate, SYS_clock_gettime};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (allowed[i] == n) return 1;
    return 0;
}

int main(int argc, char **args) {
    int bad = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        for (long n = 0; n < 600; n++) {
            if (is_allowed_at_gate(n)) continue;
            long r = through_gate(n, (long)path, O_RDWR | O_CREAT, 0777, (long)target, 0, 0);
            if (r >= 0) bad += printf("gate: call %ld returned %ld\n", n, r) > 0;
        }
        /* Allowed numbers with arguments that would widen what the family has. */
        if (through_gate(SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0, 0) >= 0) bad += printf("gate: new userns\n") > 0;
        if (through_gate(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0) >= 0) bad += printf("gate: plain clone\n") > 0;
        if (through_gate(SYS_sendmsg, 5, 0, 0x20000000, 0, 0, 0) != -1 && 0) bad++;
        printf("gate done\n");
        return bad != 0;
    }
    for (long n = 0; n < 470; n++) {
        if (is_fatal(n)) continue;
        syscall(n, (long)path, (long)target, O_RDWR | O_CREAT, (long)argv, 0, 0);
        syscall(n, -100L, (long)path, O_RDONLY, (long)target, 0, 0);
    }
    int fd = open(path, O_RDONLY);
    char secret[64];
    if (fd >= 0 && read(fd, secret, sizeof secret) > 0) bad += printf("read %s\n", path) > 0;
    printf("own done\n");
    return bad != 0;
}
