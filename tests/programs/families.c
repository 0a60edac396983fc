/* Orphans and who takes them in, priorities and capabilities of a plain user, and what prctl tells. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <grp.h>
#include <linux/ioprio.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name(long result) {
    static char text[8][32];
    static int at;
    char *out = text[at++ % 8];
    if (result == -1) return strerrorname_np(errno);
    snprintf(out, 32, "%ld", result);
    return out;
}

static void orphans(void) {
    int ends[2];
    pipe(ends);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int set = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &set);
    pid_t top = getpid(), middle = fork();
    if (middle == 0) {
        prctl(PR_GET_CHILD_SUBREAPER, &set);
        write(ends[1], &set, sizeof set);
        for (int i = 0; i < 2; i++) {
            if (fork() == 0) {
                pid_t parent = getppid();
                if (i == 1) _exit(5);
                while (getppid() == parent) usleep(1000);
                set = getppid() == top;
                write(ends[1], &set, sizeof set);
                _exit(7);
            }
        }
        usleep(50000);
        _exit(3);
    }
    int inherited, taken_in;
    read(ends[0], &inherited, sizeof inherited);
    read(ends[0], &taken_in, sizeof taken_in);
    printf("subreaper %d inherited %d took in %d:", set, inherited, taken_in);
    int sum = 0, count = 0, status;
    while (wait(&status) > 0) {
        sum += WEXITSTATUS(status);
        count++;
    }
    printf(" reaped %d sum %d then %s\n", count, sum, strerrorname_np(errno));
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void death_signal(void) {
    int ends[2];
    pipe(ends);
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            close(ends[0]);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            write(ends[1], "x", 1);
            for (;;) pause();
        }
        close(ends[1]);
        char ready;
        read(ends[0], &ready, 1);
        _exit(0);
    }
    close(ends[1]);
    waitpid(middle, NULL, 0);
    char byte;
    printf("death signal: the child is gone %zd invalid %s\n", read(ends[0], &byte, 1), name(prctl(PR_SET_PDEATHSIG, 65)));
}

static void priorities(void) {
    printf("nice: up %s", name(setpriority(PRIO_PROCESS, 0, 5)));
    errno = 0;
    printf(" is %d", getpriority(PRIO_PROCESS, 0));
    printf(" down %s", name(setpriority(PRIO_PROCESS, 0, 4)));
    printf(" same %s far %s", name(setpriority(PRIO_PROCESS, 0, 5)), name(setpriority(PRIO_PROCESS, 0, 100)));
    printf(" nobody %s nonsense %s", name(setpriority(PRIO_PROCESS, 0x3fffff, 0)), name(setpriority(7, 0, 0)));
    printf(" nice %s\n", name(nice(-1)));
    struct sched_param none = {0}, one = {1};
    printf("scheduling: fifo %s", name(sched_setscheduler(0, SCHED_FIFO, &one)));
    printf(" rr %s bad %s %s", name(sched_setscheduler(0, SCHED_RR, &one)), name(sched_setscheduler(0, SCHED_FIFO, &none)), name(sched_setscheduler(0, 77, &none)));
    printf(" batch %s is %d", name(sched_setscheduler(0, SCHED_BATCH, &none)), sched_getscheduler(0));
    printf(" back %s\n", name(sched_setscheduler(0, SCHED_OTHER, &none)));
    printf("io: %s", name(syscall(SYS_ioprio_set, 1, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6))));
    printf(" is %lx", syscall(SYS_ioprio_get, 1, 0));
    printf(" real time %s", name(syscall(SYS_ioprio_set, 1, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 1))));
    printf(" bad %s %s\n", name(syscall(SYS_ioprio_set, 9, 0, 0)), name(syscall(SYS_ioprio_set, 1, 0, IOPRIO_PRIO_VALUE(7, 0))));
}

static void capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    memset(sets, 0x55, sizeof sets);
    printf("capget %s", name(syscall(SYS_capget, &header, sets)));
    printf(" %x %x %x", sets[0].effective | sets[1].effective, sets[0].permitted | sets[1].permitted, sets[0].inheritable | sets[1].inheritable);
    printf(" capset %s", name(syscall(SYS_capset, &header, sets)));
    sets[0].effective = sets[0].permitted = 1 << CAP_KILL;
    printf(" more %s", name(syscall(SYS_capset, &header, sets)));
    sets[0].effective = sets[0].permitted = 0;
    sets[0].inheritable = 1;
    printf(" inheritable %s", name(syscall(SYS_capset, &header, sets)));
    header.version = 1;
    printf(" version %s %x", name(syscall(SYS_capget, &header, sets)), header.version);
    header.pid = 0x3fffff;
    printf(" gone %s\n", name(syscall(SYS_capget, &header, sets)));
    printf("bounding %s", name(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN)));
    printf(" %s drop %s", name(prctl(PR_CAPBSET_READ, 99)), name(prctl(PR_CAPBSET_DROP, CAP_KILL)));
    printf(" securebits %s set %s", name(prctl(PR_GET_SECUREBITS)), name(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)));
    printf(" keep %s", name(prctl(PR_SET_KEEPCAPS, 1)));
    printf(" %s %s", name(prctl(PR_GET_KEEPCAPS)), name(prctl(PR_GET_SECUREBITS)));
    printf(" bad %s", name(prctl(PR_SET_KEEPCAPS, 2)));
    printf(" ambient %s %s %s\n", name(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0)),
           name(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0)),
           name(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)));
    printf("ids: setuid %s setgid %s setgroups %s\n", name(setuid(0)), name(setgid(0)), name(setgroups(0, NULL)));
}

static void questions(void) {
    printf("prctl: mce %s %s %s", name(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0)), name(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0)),
           name(prctl(PR_MCE_KILL, 7, 0, 0, 0)));
    printf(" mm %s", name(prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0)));
    printf(" dumpable %s %s %s", name(prctl(PR_GET_DUMPABLE)), name(prctl(PR_SET_DUMPABLE, 2)), name(prctl(PR_SET_DUMPABLE, 0)));
    printf(" %s", name(prctl(PR_GET_DUMPABLE)));
    printf(" slack %s", name(prctl(PR_GET_TIMERSLACK)));
    prctl(PR_SET_TIMERSLACK, 7);
    printf(" %s", name(prctl(PR_GET_TIMERSLACK)));
    prctl(PR_SET_TIMERSLACK, 0);
    printf(" %s", name(prctl(PR_GET_TIMERSLACK)));
    printf(" new privileges %s %s %s", name(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)), name(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
           name(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    char text[17] = "";
    prctl(PR_SET_NAME, "a name that is far too long");
    prctl(PR_GET_NAME, text);
    printf(" name \"%s\" unknown %s\n", text, name(prctl(12345)));
}

int main(void) {
    orphans();
    death_signal();
    priorities();
    capabilities();
    questions();
    return 0;
}
