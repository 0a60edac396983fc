// POSIX message queues: attributes, priorities, blocking and timeouts, notification, limits, errors.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAY(e) do { errno = 0; long r_ = (long)(e); printf("%s: %ld %s\n", #e, r_ < 0 ? -1 : r_, errno ? strerrorname_np(errno) : "ok"); } while (0)

static char name[64], buf[8192];
static sem_t told;
static int told_value;

static void on_thread(union sigval value) {
    told_value = value.sival_int;
    sem_post(&told);
}

static void signals(mqd_t q) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
    SAY(mq_notify(q, &event));
    SAY(mq_notify(q, &event));
    pid_t child = fork();
    if (child == 0) {
        SAY(mq_notify(q, &event) == -1);
        SAY(mq_notify(q, NULL));
        fflush(stdout);
        _exit(mq_send(q, "x", 1, 3));
    }
    int status;
    waitpid(child, &status, 0);
    siginfo_t info;
    struct timespec soon = {5, 0};
    int got = sigtimedwait(&set, &info, &soon);
    printf("signal %d code %d value %d sender %d\n", got == SIGUSR1, info.si_code, info.si_value.sival_int, info.si_pid == child);
    // Told once; not for a queue that holds something; dropped on request and by the owner's close.
    SAY(mq_notify(q, &event));
    SAY(mq_send(q, "y", 1, 0));
    struct timespec at_once = {0, 0};
    SAY(sigtimedwait(&set, &info, &at_once));
    SAY(mq_receive(q, buf, sizeof buf, NULL));
    SAY(mq_receive(q, buf, sizeof buf, NULL));
    SAY(mq_notify(q, NULL));
    SAY(mq_send(q, "z", 1, 0));
    SAY(sigtimedwait(&set, &info, &at_once));
    SAY(mq_receive(q, buf, sizeof buf, NULL));
    mqd_t other = mq_open(name, O_RDWR);
    SAY(mq_notify(other, &event));
    SAY(mq_close(other));
    SAY(mq_send(q, "z", 1, 0));
    SAY(sigtimedwait(&set, &info, &at_once));
    SAY(mq_receive(q, buf, sizeof buf, NULL));
    event.sigev_notify = 77;
    SAY(mq_notify(q, &event));
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 200;
    SAY(mq_notify(q, &event));
}

static void *receiver(void *arg) {
    char text[8192];
    unsigned priority;
    long n = mq_receive(*(mqd_t *)arg, text, sizeof text, &priority);
    /* Not before the main thread has told of its call. */
    sem_wait(&told);
    printf("received %ld %c %u\n", n, text[0], priority);
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(30);
    snprintf(name, sizeof name, "/postern-%d", getpid());
    SAY(mq_open(name, O_RDWR));
    SAY(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL));
    SAY(mq_open("/", O_RDWR | O_CREAT, 0600, NULL));
    struct mq_attr attr = {.mq_maxmsg = 3, .mq_msgsize = 100};
    struct mq_attr wrong[] = {{.mq_maxmsg = 0, .mq_msgsize = 1}, {.mq_maxmsg = 1, .mq_msgsize = 0},
                              {.mq_maxmsg = 11, .mq_msgsize = 1}, {.mq_maxmsg = 1, .mq_msgsize = 8193}};
    for (int i = 0; i < 4; i++) SAY(mq_open(name, O_RDWR | O_CREAT, 0600, &wrong[i]));
    mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0640, &attr);
    SAY(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0640, &attr));
    printf("cloexec %d\n", fcntl(q, F_GETFD));
    struct stat st;
    SAY(fstat(q, &st));
    printf("mode %o size %ld mine %d\n", st.st_mode, (long)st.st_size, st.st_uid == getuid());

    struct pollfd p = {.fd = q, .events = POLLIN | POLLOUT};
    SAY(poll(&p, 1, 0));
    printf("events %x\n", p.revents);
    int e = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    SAY(epoll_ctl(e, EPOLL_CTL_ADD, q, &ev));
    SAY(epoll_wait(e, &ev, 1, 0));

    SAY(mq_receive(q, buf, 99, NULL));
    SAY(mq_receive(q, buf, sizeof buf, NULL));
    SAY(mq_send(q, "low", 4, 1));
    SAY(epoll_wait(e, &ev, 1, 1000));
    SAY(mq_send(q, "high", 5, 32767));
    SAY(mq_send(q, "low2", 5, 1));
    SAY(mq_send(q, "full", 5, 1));
    SAY(mq_send(q, "x", 1, 32768));
    SAY(mq_send(q, buf, 101, 0));
    SAY(poll(&p, 1, 0));
    printf("events %x\n", p.revents);
    SAY(mq_getattr(q, &attr));
    printf("attr %lx %ld %ld %ld\n", attr.mq_flags, attr.mq_maxmsg, attr.mq_msgsize, attr.mq_curmsgs);
    char line[100] = "";
    SAY(read(q, line, sizeof line));
    printf("%s", line);
    for (int i = 0; i < 3; i++) {
        unsigned priority = 0;
        SAY(mq_receive(q, buf, 100, &priority));
        printf("%s %u\n", buf, priority);
    }
    struct mq_attr old;
    attr.mq_flags = O_APPEND;
    SAY(mq_setattr(q, &attr, NULL));
    attr.mq_flags = 0;
    SAY(mq_setattr(q, &attr, &old));
    printf("was %lx\n", old.mq_flags);

    struct timespec when;
    clock_gettime(CLOCK_REALTIME, &when);
    when.tv_sec -= 1;
    SAY(mq_timedreceive(q, buf, 100, NULL, &when));
    when.tv_nsec = 1000000000;
    SAY(mq_timedreceive(q, buf, 100, NULL, &when));
    clock_gettime(CLOCK_REALTIME, &when);
    when.tv_nsec = (when.tv_nsec + 50000000) % 1000000000;
    when.tv_sec += when.tv_nsec < 50000000;
    SAY(mq_timedreceive(q, buf, 100, NULL, &when));
    pthread_t thread;
    pthread_create(&thread, NULL, receiver, &q);
    usleep(50000);
    SAY(mq_send(q, "w", 1, 7));
    sem_post(&told);
    pthread_join(thread, NULL);

    mqd_t r = mq_open(name, O_RDONLY), w = mq_open(name, O_WRONLY);
    SAY(mq_send(r, "x", 1, 0));
    SAY(mq_receive(w, buf, 100, NULL));
    SAY(mq_send(0, "x", 1, 0));
    SAY(mq_unlink("/no-such-queue-here"));
    signals(q);

    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread, .sigev_value.sival_int = 5};
    SAY(mq_notify(q, &event));
    SAY(mq_send(q, "t", 1, 0));
    SAY(sem_wait(&told));
    printf("thread %d\n", told_value);
    SAY(mq_notify(q, &event));
    SAY(mq_notify(q, NULL));

    SAY(mq_unlink(name));
    SAY(mq_unlink(name));
    SAY(mq_receive(q, buf, 100, NULL));
    struct rlimit none = {1000, 1000};
    SAY(setrlimit(RLIMIT_MSGQUEUE, &none));
    SAY(mq_open(name, O_RDWR | O_CREAT, 0600, NULL));
    SAY(mq_close(q));
    SAY(mq_close(q));
    return 0;
}
