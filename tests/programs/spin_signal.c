/* A signal reaches a thread that spins in user code with floating-point state, and the state survives. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t got;
static pthread_t main_thread;

static void handler(int signal) {
    volatile double x = signal;
    for (int i = 0; i < 100; i++) x = x * 1.5 + 1;
    got++;
}

static void *kicker(void *unused) {
    (void)unused;
    for (int i = 1; i <= 20; i++) {
        pthread_kill(main_thread, SIGUSR1);
        while (got < i) usleep(1000);
    }
    return NULL;
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    main_thread = pthread_self();
    pthread_t thread;
    pthread_create(&thread, NULL, kicker, NULL);
    double a = 1, b = 2, c = 3, d = 4;
    long wrong = 0;
    while (got < 20) {
        a += 1; b += 1; c += 1; d += 1;
        if (b - a != 1 || c - b != 1 || d - c != 1) wrong++;
    }
    pthread_join(thread, NULL);
    printf("%d signals, %ld wrong\n", (int)got, wrong);
    return 0;
}
