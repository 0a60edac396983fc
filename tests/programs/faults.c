/* Host faults become the program's signals, with their addresses, and a handler can go on after them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile sig_atomic_t got, code;
static void *volatile where;

static void handler(int signal, siginfo_t *info, void *context) {
    (void)context;
    got = signal;
    code = info->si_code;
    where = info->si_addr;
    siglongjmp(back, 1);
}

static void on_page(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    mprotect((void *)((unsigned long)info->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
}

int main(void) {
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(all[i], &action, NULL);
    volatile int zero = 0;
    void *volatile nowhere = (void *)0x42;
    if (!sigsetjmp(back, 1)) *(volatile int *)0x42 = 1;
    printf("%d %d %p\n", got, code, where);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!sigsetjmp(back, 1)) page[5] = 1;
    printf("%d %d %ld\n", got, code, (char *)where - page);
    if (!sigsetjmp(back, 1)) zero = 1 / zero;
    printf("%d %d\n", got, code);
    if (!sigsetjmp(back, 1)) __asm__ volatile("ud2");
    printf("%d %d\n", got, code);
    if (!sigsetjmp(back, 1)) __asm__ volatile("int3");
    printf("%d %d\n", got, code);
    int fd = memfd_create("short", 0);
    char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (!sigsetjmp(back, 1)) printf("%d\n", map[0]);
    printf("%d %d\n", got, code);
    action.sa_sigaction = on_page;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 100; i++) {
        mprotect(page, 4096, PROT_NONE);
        page[i] = i;
    }
    printf("page %d\n", page[99]);
    int status;
    if (fork() == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile int *)0x42 = 1;
    }
    wait(&status);
    printf("child %d\n", WTERMSIG(status));
    printf("efault %d\n", write(1, nowhere, 1) == -1);
    return 0;
}
