/* Record locks: neighbours that become one, deadlocks, and what an open file holds itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int fd;
static volatile int *turn;

static void get(const char *what, int command, int type, off_t start, off_t len, int hide_pid) {
    struct flock lock = {.l_type = type, .l_start = start, .l_len = len, .l_whence = SEEK_SET};
    int result = fcntl(fd, command, &lock);
    printf("%s: %d %d, type %d from %ld len %ld pid %d\n", what, result, result < 0 ? errno : 0, lock.l_type,
           (long)lock.l_start, (long)lock.l_len, hide_pid ? lock.l_pid > 0 : lock.l_pid);
}

static int set(int command, int type, off_t start, off_t len) {
    struct flock lock = {.l_type = type, .l_start = start, .l_len = len, .l_whence = SEEK_SET};
    return fcntl(fd, command, &lock) < 0 ? errno : 0;
}

static void await(int value) {
    while (*turn != value) usleep(200);
}

static void ring(int count) {
    *turn = 0;
    fflush(stdout);
    for (int i = 0; i < count; i++)
        if (fork() == 0) {
            alarm(20);
            int first = set(F_SETLKW, F_WRLCK, i * 10, 10);
            __atomic_add_fetch(turn, 1, __ATOMIC_SEQ_CST);
            await(count);
            /* All but the last wait for their neighbour; the last one closes the ring. */
            if (i == count - 1) usleep(300000);
            int second = set(F_SETLKW, F_WRLCK, (i + 1) % count * 10, 10);
            exit(first * 100 + (second == EDEADLK));
        }
    int deadlocks = 0, others = 0;
    for (int i = 0; i < count; i++) {
        int status;
        wait(&status);
        if (status == 1 << 8) deadlocks++;
        else if (status) others++;
    }
    printf("ring of %d: %d deadlock, %d other\n", count, deadlocks, others);
}

int main(void) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/postern-locks-%d", getpid());
    fd = open(path, O_RDWR | O_CREAT, 0600);
    turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 2; i < 6; i++) ring(i);

    set(F_SETLK, F_WRLCK, 0, 10);
    set(F_SETLK, F_WRLCK, 10, 10);
    set(F_SETLK, F_WRLCK, 30, 10);
    set(F_SETLK, F_RDLCK, 40, 10);
    fflush(stdout);
    if (fork() == 0) {
        get("neighbours", F_GETLK, F_WRLCK, 5, 1, 1);
        get("gap", F_GETLK, F_WRLCK, 20, 10, 1);
        get("next", F_GETLK, F_WRLCK, 20, 100, 1);
        get("shared", F_GETLK, F_RDLCK, 40, 5, 1);
        get("exclusive", F_GETLK, F_WRLCK, 40, 5, 1);
        exit(0);
    }
    wait(NULL);
    get("own", F_GETLK, F_WRLCK, 0, 100, 1);
    get("unlock", F_GETLK, F_UNLCK, 0, 100, 1);
    set(F_SETLK, F_UNLCK, 0, 0);

    get("ofd none", F_OFD_GETLK, F_UNLCK, 0, 100, 0);
    printf("ofd set %d %d\n", set(F_OFD_SETLK, F_WRLCK, 100, 10), set(F_OFD_SETLK, F_RDLCK, 50, 20));
    get("ofd own", F_OFD_GETLK, F_UNLCK, 0, 0, 0);
    get("ofd own", F_OFD_GETLK, F_UNLCK, 75, 0, 0);
    get("ofd none", F_OFD_GETLK, F_UNLCK, 75, 5, 0);
    get("ofd other", F_OFD_GETLK, F_WRLCK, 0, 0, 0);
    get("bad", F_OFD_GETLK, 7, 0, 0, 0);
    int held = fd;
    fd = open(path, O_RDWR);
    get("by another", F_OFD_GETLK, F_WRLCK, 0, 0, 0);
    get("by another", F_OFD_GETLK, F_UNLCK, 0, 0, 0);
    get("by process", F_GETLK, F_WRLCK, 0, 0, 0);
    close(held);
    get("gone", F_OFD_GETLK, F_WRLCK, 0, 0, 0);
    unlink(path);
    return 0;
}
