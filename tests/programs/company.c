/* Processes that share their memory: beside each other, or one in the place of the other. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int value, go_on;
static int ends[2];
static pid_t seen_parent;

static void *stack(void) { return (char *)mmap(NULL, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 65536; }

static int counts(void *argument) {
    (void)argument;
    seen_parent = getppid();
    value = getpid();
    while (!go_on) sched_yield();
    close(ends[0]);
    return 4;
}

static int executes(void *argument) {
    value = 77;
    execl("/bin/sh", "sh", "-c", argument, NULL);
    return 1;
}

static int reports(void *argument) {
    (void)argument;
    pid_t parent = getppid();
    value++;
    while (!go_on) usleep(1000);
    for (int i = 0; i < 50 && getppid() == parent; i++) usleep(1000);
    char byte = (char)('a' + value);
    write(ends[1], &byte, 1);
    return 0;
}

static int lasts(void *argument) {
    (void)argument;
    while (value < 1000000) value++;
    return 6;
}

static int status_of(pid_t pid, int options) {
    int status = -1;
    pid_t got = waitpid(pid, &status, options);
    if (got < 0) return -errno;
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void beside(void) {
    pipe(ends);
    pid_t pid = clone(counts, stack(), CLONE_VM | SIGCHLD, NULL);
    while (!value) sched_yield();
    printf("beside: own id %d parent %d", value == pid && pid != getpid(), seen_parent == getpid());
    go_on = 1;
    int status = status_of(pid, 0);
    char byte = 'x';
    printf(" exit %d", status);
    printf(" own descriptors %d\n", write(ends[1], &byte, 1) == 1 && read(ends[0], &byte, 1) == 1);
    go_on = value = 0;
    fflush(stdout);
    pid = clone(executes, stack(), CLONE_VM | SIGCHLD, "exit 9");
    status = status_of(pid, 0);
    printf("executes: exit %d we have our memory %d\n", status, value);
    value = 0;
    pid_t several[4];
    for (int i = 0; i < 4; i++) several[i] = clone(lasts, stack(), CLONE_VM | SIGCHLD, NULL);
    int sum = 0;
    for (int i = 0; i < 4; i++) sum += status_of(several[i], 0);
    printf("several: %d\n", sum);
}

static void kinds(void) {
    value = 2000000;
    pid_t pid = clone(lasts, stack(), CLONE_VM, NULL);
    int plain = status_of(pid, 0), other = status_of(pid, __WCLONE);
    printf("without a signal: %s %d", strerrorname_np(-plain), other);
    pid = clone(lasts, stack(), CLONE_VM | SIGCHLD, NULL);
    other = status_of(pid, __WCLONE);
    plain = status_of(pid, __WALL);
    printf(" with one: %s %d\n", strerrorname_np(-other), plain);
    value = 0;
}

/* A parent that executes a program, or is killed, while the other one has the memory too. */
static char left_by(int kill_it) {
    pipe(ends);
    pid_t parent = fork();
    if (parent == 0) {
        value = 0;
        clone(reports, stack(), CLONE_VM | SIGCHLD, NULL);
        while (!value) usleep(1000);
        go_on = 1;
        if (kill_it) for (;;) pause();
        execl("/bin/true", "true", NULL);
    }
    if (kill_it) {
        usleep(20000);
        kill(parent, SIGKILL);
    }
    int status = status_of(parent, 0);
    char byte = '?';
    close(ends[1]);
    read(ends[0], &byte, 1);
    close(ends[0]);
    printf("left: %d then %c\n", status, byte);
    return byte;
}

/* A parent that is killed while its vfork child runs. */
static void in_place(int execs) {
    int back[2];
    char byte = 0;
    pipe(ends);
    pipe(back);
    pid_t parent = fork();
    if (parent == 0) {
        if (vfork() == 0) {
            write(back[1], "r", 1);
            read(ends[0], &byte, 1);
            if (execs) {
                dup2(back[1], 1);
                execl("/bin/echo", "echo", "y", NULL);
            }
            write(back[1], "y", 1);
            _exit(0);
        }
        for (;;) pause();
    }
    read(back[0], &byte, 1);
    kill(parent, SIGTERM);
    int status = status_of(parent, 0);
    byte = '?';
    write(ends[1], "x", 1);
    read(back[0], &byte, 1);
    printf("in place: parent %d child goes on %c\n", status, byte);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    beside();
    kinds();
    left_by(0);
    left_by(1);
    in_place(0);
    in_place(1);
    return 0;
}
