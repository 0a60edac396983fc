/* What root may do, and what is left of it step by step. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
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

static void show(const char *when) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    syscall(SYS_capget, &header, sets);
    unsigned long effective = sets[0].effective | (unsigned long)sets[1].effective << 32;
    unsigned long permitted = sets[0].permitted | (unsigned long)sets[1].permitted << 32;
    uid_t r, e, s;
    getresuid(&r, &e, &s);
    printf("%s: %d %d %d effective %lx permitted %lx\n", when, r, e, s, effective, permitted);
    fflush(stdout);
}

static void in_child(void (*part)(void)) {
    fflush(stdout);
    if (fork() == 0) {
        part();
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

static void leaves(void) {
    printf("groups %s", name(setgroups(1, (gid_t[]){7})));
    printf(" gid %s", name(setresgid(7, 7, 7)));
    printf(" uid %s\n", name(setresuid(1000, 1000, 1000)));
    show("gone");
    printf("back %s\n", name(setuid(0)));
}

static void steps_aside(void) {
    printf("aside %s\n", name(seteuid(1000)));
    show("aside");
    printf("back %s\n", name(seteuid(0)));
    show("back");
}

static void keeps(void) {
    prctl(PR_SET_KEEPCAPS, 1);
    printf("keeps %s\n", name(setuid(1000)));
    show("kept");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{1 << CAP_SETUID, 1 << CAP_SETUID, 1 << CAP_SETUID}};
    printf("takes one %s\n", name(syscall(SYS_capset, &header, sets)));
    show("one");
    printf("uses it %s", name(setresuid(1001, 1001, 1001)));
    printf(" ambient %s\n", name(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETUID, 0, 0)));
}

static void bounds(void) {
    for (int cap = 0; cap <= 40; cap++) if (cap != CAP_KILL) prctl(PR_CAPBSET_DROP, cap);
    printf("bound %s %s\n", name(prctl(PR_CAPBSET_READ, CAP_KILL)), name(prctl(PR_CAPBSET_READ, CAP_SETUID)));
    fflush(stdout);
    execl("/proc/self/exe", "root", "shows", NULL);
}

static void limits(void) {
    printf("limits %s", name(setrlimit(RLIMIT_CORE, &(struct rlimit){1, 2})));
    printf(" %s", name(setrlimit(RLIMIT_CORE, &(struct rlimit){9, 9})));
    printf(" nice %s\n", name(setpriority(PRIO_PROCESS, 0, -5)));
    printf("host %s %s\n", name(mount("none", "/tmp", "tmpfs", 0, NULL)), name(sethostname("x", 1)));
    fflush(stdout);
    pid_t other = fork();
    if (other == 0) {
        setuid(1000);
        for (;;) pause();
    }
    usleep(50000);
    printf("signal to a user %s\n", name(kill(other, SIGKILL)));
    waitpid(other, NULL, 0);
}

int main(int argc, char **argv) {
    (void)argv;
    show("root");
    if (argc > 1) return 0;
    in_child(leaves);
    in_child(steps_aside);
    in_child(keeps);
    in_child(bounds);
    in_child(limits);
    return 0;
}
