/* MAP_SHARED in its forms: anonymous over fork, a memfd, a file in /dev/shm, and a process-shared mutex. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
    pthread_mutex_t lock;
    long count;
    char text[32];
};

static void work(struct shared *s) {
    for (int i = 0; i < 5000; i++) {
        pthread_mutex_lock(&s->lock);
        s->count++;
        pthread_mutex_unlock(&s->lock);
    }
}

static void run(const char *name, struct shared *s) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&s->lock, &attributes);
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            work(s);
            strcpy(s->text, "written by a child");
            _exit(0);
        }
    for (int i = 0; i < 4; i++) wait(NULL);
    printf("%s %ld %s\n", name, s->count, s->text);
}

int main(void) {
    size_t size = 4096;
    run("anonymous", mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    int fd = memfd_create("test", MFD_ALLOW_SEALING);
    ftruncate(fd, size);
    run("memfd", mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    printf("shrink %d, seal %d\n", ftruncate(fd, size), fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    printf("sealed shrink %d, seals %d\n", ftruncate(fd, 100), fcntl(fd, F_GET_SEALS));
    fd = shm_open("/postern-test", O_CREAT | O_RDWR | O_TRUNC, 0600);
    ftruncate(fd, size);
    run("shm", mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    struct shared copy;
    pread(fd, &copy, sizeof copy, 0);
    printf("read %ld %s\n", copy.count, copy.text);
    shm_unlink("/postern-test");
    return 0;
}
