/* More threads one after another than there may be at one time, and as many processes. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *nothing(void *argument) { return argument; }

int main(void) {
    for (int i = 0; i < 10000; i++) {
        pthread_t thread;
        int error = pthread_create(&thread, NULL, nothing, NULL);
        if (error) {
            printf("thread %d: %s\n", i, strerror(error));
            return 1;
        }
        pthread_join(thread, NULL);
    }
    for (int i = 0; i < 9000; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) _exit(0);
        if (waitpid(pid, NULL, 0) != pid) return 1;
    }
    puts("all came and went");
    return 0;
}
