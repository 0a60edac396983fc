/* 64 threads on one lock and one condition. */
#include <pthread.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long count;
static int next;

static void *run(void *argument) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock);
        count++;
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    while (next != (int)(long)argument) pthread_cond_wait(&turn, &lock);
    next++;
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(void) {
    pthread_t threads[64];
    for (long i = 0; i < 64; i++) pthread_create(&threads[i], NULL, run, (void *)i);
    for (int i = 0; i < 64; i++) pthread_join(threads[i], NULL);
    printf("%ld %d\n", count, next);
    return 0;
}
