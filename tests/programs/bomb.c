/* A fork bomb. Never run natively. Each process makes others until it is refused and then stays. With an argument, so
 * does the first one; else it ends all of them, and sees that everything is as before. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    (void)argv;
    int ends[2], error = 0;
    if (pipe(ends) != 0) return 1;
    pid_t first = fork();
    if (first == 0) {
        setpgid(0, 0);
        while (fork() >= 0) {}
        error = errno;
        write(ends[1], &error, sizeof error);
        for (;;) pause();
    }
    if (read(ends[0], &error, sizeof error) != sizeof error) return 1;
    printf("%s\n", strerror(error));
    fflush(stdout);
    if (argc > 1) for (;;) pause();
    kill(-first, SIGKILL);
    waitpid(first, NULL, 0);
    while (kill(-first, 0) == 0) usleep(10000);
    int status = 0;
    pid_t child = fork();
    if (child == 0) _exit(3);
    waitpid(child, &status, 0);
    printf("%d\n", WEXITSTATUS(status));
    return 0;
}
