/* vfork and posix_spawn, with errors that come back through shared memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    volatile int touched = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        touched = 42;
        _exit(7);
    }
    int status;
    waitpid(pid, &status, 0);
    printf("vfork %d, memory %d\n", WEXITSTATUS(status), touched);
    pid = vfork();
    if (pid == 0) {
        execl("/bin/echo", "echo", "from vfork", (char *)NULL);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    char *good[] = {"sh", "-c", "exit 9", NULL}, *bad[] = {"none", NULL};
    int error = posix_spawn(&pid, "/bin/sh", NULL, NULL, good, environ);
    waitpid(pid, &status, 0);
    printf("spawn %d %d\n", error, WEXITSTATUS(status));
    printf("missing %d\n", posix_spawn(&pid, "/no/such/program", NULL, NULL, bad, environ) == ENOENT);
    printf("no children %d\n", waitpid(-1, &status, 0) == -1 && errno == ECHILD);
    return 0;
}
