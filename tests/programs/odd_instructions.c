/* What no compiler makes: a call of the 32-bit ABI, jumps to where no address is, alignment checks, another GS. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static int telling;

static void caught(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    /* The C library does not stand alignment checks either. */
    __asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" ::: "memory", "cc");
    if (!telling)
        siglongjmp(back, 1);
    printf("signal %d code %d address %p", signal, info->si_code, info->si_addr);
    if (uc->uc_mcontext.gregs[REG_RIP] == 0x1234567812345678)
        printf(" at the jump's target");
    printf("\n");
    siglongjmp(back, 1);
}

static void to_nowhere(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = 0x1234567812345678;
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    setvbuf(stdout, NULL, _IONBF, 0);
    /* Where the kernel has no 32-bit ABI the instruction faults; either way the program goes on. */
    if (!sigsetjmp(back, 1)) {
        long result = 20;
        __asm__ volatile("int $0x80" : "+a"(result)::"memory", "r8", "r9", "r10", "r11");
    }
    printf("still here\n");
    telling = 1;
    if (!sigsetjmp(back, 1))
        ((void (*)(void))0x1234567812345678)();
    /* A handler that returns to nowhere. */
    action.sa_sigaction = to_nowhere;
    sigaction(SIGUSR1, &action, NULL);
    if (!sigsetjmp(back, 1))
        raise(SIGUSR1);
    action.sa_sigaction = caught;
    sigaction(SIGBUS, &action, NULL);
    if (!sigsetjmp(back, 1)) {
        long flags;
        __asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; mov %1, %%rax; syscall; pushfq; pop %0"
                         : "=&r"(flags)
                         : "i"(39)
                         : "rax", "rcx", "r11", "memory", "cc");
        __asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" ::: "memory", "cc");
        printf("alignment checks stay %lx\n", flags & 0x40000);
        __asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; movl 1(%0), %%eax" ::"r"(&flags) : "rax", "memory", "cc");
    }
    __asm__ volatile("mov %0, %%gs" ::"r"(0) : "memory");
    printf("process %d\n", getpid() > 0);
    return 0;
}
