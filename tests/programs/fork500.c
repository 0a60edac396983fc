/* Forks 500 children, one after another and then 50 at a time, and reaps them with their statuses. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    int reaped = 0;
    for (int i = 0; i < 450; i++) {
        pid_t pid = fork();
        if (pid == 0) _exit(i & 7);
        int status;
        if (pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == (i & 7)) reaped++;
    }
    int sum = 0;
    for (int i = 0; i < 50; i++)
        if (fork() == 0) _exit(1);
    for (int i = 0; i < 50; i++) {
        int status;
        if (wait(&status) > 0) sum += WEXITSTATUS(status);
    }
    printf("%d %d\n", reaped, sum);
    return 0;
}
