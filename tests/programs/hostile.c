/* What an attacker who owns the picoprocess tries: every system call number with arguments that would change or read
   the host, by its own `syscall` instruction and by the library OS's own, past the library OS. Prints what succeeded
   that must not. Never run this outside a sandbox: it does what it says. `hostile MODE FILE PID`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char *gate;
static const char *secret;
static long victim;
static char buffer[4096];

/* Finds the `syscall` instruction of the page at the known address; what follows it until `ret` is the library OS's. */
static int find_gate(void) {
    unsigned char *page = (unsigned char *)0x2a0000001000;
    for (int i = 0; i < 4095; i++)
        if (page[i] == 0x0f && page[i + 1] == 0x05 && page[i + 2] == 0xc3) {
            gate = (char *)page + i;
            return 1;
        }
    return 0;
}

/* `call` of `syscall; ret` inside the gate, with registers as the host's kernel wants them. */
static long at_gate(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("call *%[gate]"
                     : "=a"(result)
                     : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9), [gate] "m"(gate)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

static long own(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

/* Calls that the filter lets through with the right arguments. */
static int is_allowed_at_gate(long n) {
    static const long allowed[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_clone, SYS_futex,
                                   SYS_preadv2, SYS_pwritev2, SYS_recvmsg, SYS_sendmsg, SYS_ppoll, SYS_close,
                                   SYS_tgkill, SYS_exit, SYS_rt_sigreturn, SYS_sigaltstack, SYS_ftruncate,
                                   SYS_fallocate, SYS_clock_gettime};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (allowed[i] == n) return 1;
    return 0;
}

static int every_call_at_the_gate(void) {
    int bad = 0;
    for (long n = 0; n < 1100; n++) {
        if (is_allowed_at_gate(n)) continue;
        /* uretprobe and uprobe: newer kernels let them past every filter, and answer with SIGILL outside their own
           trampoline. That ends this family and tells nobody anything. */
        if (n == 335 || n == 336) continue;
        long tries[4] = {
            at_gate(n, (long)secret, O_RDWR | O_CREAT, 0777, (long)buffer, 0, 0),
            at_gate(n, -100, (long)secret, O_RDONLY, (long)buffer, 4096, 0),
            at_gate(n, victim, SIGKILL, 0, 0, 0, 0),
            at_gate(n, 2, (long)buffer, 0, sizeof buffer, 0, 0),
        };
        for (int i = 0; i < 4; i++)
            if (tries[i] >= 0) bad += printf("gate: call %ld, arguments %d: %ld\n", n, i, tries[i]) > 0;
        /* The 32-bit numbering's bit of x86-64. */
        if (at_gate(n | 0x40000000, (long)secret, O_RDONLY, 0, 0, 0, 0) >= 0) bad += printf("x32 %ld\n", n) > 0;
    }
    return bad;
}

/* Allowed calls with arguments that would widen what the family has. */
static int wide_arguments_at_the_gate(void) {
    int bad = 0;
    struct {
        const char *what;
        long n, a, b, c, d, e, f;
    } tries[] = {
        {"a user namespace", SYS_clone, 0x10000000 | SIGCHLD, 0, 0, 0, 0, 0},
        {"a mount namespace", SYS_clone, 0x00020000 | SIGCHLD, 0, 0, 0, 0, 0},
        {"a network namespace", SYS_clone, 0x40000000 | SIGCHLD, 0, 0, 0, 0, 0},
        {"a process with its own files", SYS_clone, SIGCHLD, 0, 0, 0, 0, 0},
        {"a traced process", SYS_clone, 0x00002000 | SIGCHLD, 0, 0, 0, 0, 0},
        {"a sibling of the keeper", SYS_clone, 0x00008000 | SIGCHLD, 0, 0, 0, 0, 0},
        {"a stopped monitor", SYS_tgkill, victim, victim, SIGSTOP, 0, 0, 0},
        {"a killed process of the host", SYS_tgkill, victim, victim, SIGKILL, 0, 0, 0},
        {"a signal to all", SYS_tgkill, -1, -1, SIGKILL, 0, 0, 0},
        {"huge pages", SYS_mmap, 0, 1 << 21, 3, 0x40022, -1, 0},
        {"locked memory", SYS_mmap, 0, 4096, 3, 0x2022, -1, 0},
        {"growing stack", SYS_mmap, 0, 4096, 3, 0x122, -1, 0},
        {"memory poisoned", SYS_madvise, (long)buffer & ~4095, 4096, 100, 0, 0, 0},
        {"memory merged", SYS_madvise, (long)buffer & ~4095, 4096, 12, 0, 0, 0},
        {"a priority-inheritance futex", SYS_futex, (long)buffer, 6, 0, 0, 0, 0},
        {"the clock of a process outside", SYS_clock_gettime, (~victim << 3) | 2, (long)buffer, 0, 0, 0, 0},
        {"a connection by MSG_FASTOPEN", SYS_sendmsg, 3, (long)buffer, 0x20000000, 0, 0, 0},
        {"out-of-band data", SYS_sendmsg, 3, (long)buffer, 1, 0, 0, 0},
        {"a hole that shifts", SYS_fallocate, 3, 8, 0, 4096, 0, 0},
        {"high-priority reads", SYS_preadv2, 3, (long)buffer, 1, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        long r = at_gate(tries[i].n, tries[i].a, tries[i].b, tries[i].c, tries[i].d, tries[i].e, tries[i].f);
        if (r == 0 && tries[i].n == SYS_clone) at_gate(SYS_exit, 0, 0, 0, 0, 0, 0);
        if (r >= 0) bad += printf("gate: %s: %ld\n", tries[i].what, r) > 0;
    }
    /* Handles that cannot be had: a socket of the host by connecting one that the family holds. */
    for (int fd = 0; fd < 64; fd++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket"};
        struct iovec iov = {buffer, 1};
        struct msghdr m = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &iov, .msg_iovlen = 1};
        /* A stream that is connected ignores the address or refuses it; neither reaches the bus. */
        long r = at_gate(SYS_sendmsg, 1000 + fd, (long)&m, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0, 0);
        if (r >= 0) bad += printf("gate: sent on handle %d\n", 1000 + fd) > 0;
    }
    return bad;
}

/* Calls that would end or stop this program, wait for ever, or take away what the test itself needs. */
static int ends_the_test(long n) {
    switch (n) {
    case SYS_exit: case SYS_exit_group: case SYS_pause: case SYS_rt_sigreturn: case SYS_rt_sigsuspend:
    case SYS_munmap: case SYS_mremap: case SYS_mprotect: case SYS_brk: case SYS_close: case SYS_close_range:
    case SYS_fork: case SYS_vfork: case SYS_clone: case SYS_clone3: case SYS_dup2: case SYS_dup3:
    case SYS_arch_prctl: case SYS_madvise: case SYS_shmat:
        return 1;
    }
    return 0;
}

static int every_call_of_its_own(void) {
    int bad = 0;
    for (long n = 0; n < 600; n++) {
        if (ends_the_test(n)) continue;
        for (int i = 0; i < 4; i++) {
            /* In a child: what a call does to its own process, waiting for ever included, is its own affair. */
            pid_t pid = fork();
            if (pid == 0) {
                alarm(1);
                long r = i == 0   ? own(n, (long)secret, O_RDWR, 0777, (long)buffer, 0, 0)
                         : i == 1 ? own(n, -100, (long)secret, O_RDONLY, (long)buffer, 4096, 0)
                         : i == 2 ? own(n, victim, SIGKILL, 0, 0, 0, 0)
                                  : own(n, (long)"/usr/bin/env", (long)"/usr/postern-hostile", O_RDWR, 0, 0, 0);
                int opens = n == SYS_open || n == SYS_openat || n == SYS_creat;
                if (i < 2 && opens && r >= 0 && read(r, buffer, sizeof buffer) > 0) _exit(99);
                _exit(0);
            }
            int status;
            waitpid(pid, &status, 0);
            if (WIFEXITED(status) && WEXITSTATUS(status) == 99) bad += printf("own: call %ld read the file\n", n) > 0;
        }
    }
    if (strstr(buffer, "secret")) bad += printf("own: %s\n", buffer) > 0;
    return bad;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc != 4 || geteuid() == 0) return 2;
    secret = argv[2];
    victim = atol(argv[3]);
    /* Outside Postern this page is not mapped, and the program ends here before it does anything. */
    if (!find_gate()) return 3;
    int bad = !strcmp(argv[1], "own")    ? every_call_of_its_own()
              : !strcmp(argv[1], "gate") ? every_call_at_the_gate()
                                         : wide_arguments_at_the_gate();
    printf("%s done\n", argv[1]);
    return bad != 0;
}
