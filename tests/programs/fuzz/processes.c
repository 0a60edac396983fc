/* Children, limits and settings. */
#include "fuzz.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void do_fork(void)
{
    unsigned calls = rnd(4), end = rnd(6), code = rnd(256);
    say(" %u calls\n", calls);
    make_call(1);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        for (unsigned i = 0; i < calls; i++)
            say("  child: "), make_call(1);
        if (end == 0)
            kill(getpid(), SIGKILL);
        if (end == 1)
            signal(SIGUSR1, SIG_DFL), raise(SIGUSR1);
        _exit(code);
    }
    int status = 0;
    siginfo_t info = {0};
    switch (rnd(3)) {
    case 0:
        /* It stays, for the next wait. */
        say("  waitid");
        if (tell(waitid(P_PID, child, &info, WEXITED | WNOWAIT)) == 0)
            say(" code %d status %d", info.si_code, info.si_status);
        break;
    case 1: {
        struct rusage usage;
        say("  wait4"), tell(wait4(child, &status, 0, &usage) == child ? 0 : -1), say(" %x", status);
        break;
    }
    default: say("  waitpid"), tell(waitpid(child, &status, 0) == child ? 0 : -1), say(" %x", status);
    }
}

static void do_wait(void)
{
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid > 0)
        say(" %x", status);
    else
        tell(pid);
}

static void do_prlimit(void)
{
    static const int limits[] = {RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_STACK, RLIMIT_NICE, 99};
    int which = PICK(limits);
    struct rlimit limit, old;
    say(" %d", which);
    if (tell(getrlimit(which, &old)) != 0)
        return;
    limit = old;
    limit.rlim_cur = which == RLIMIT_NOFILE ? 20 + rnd(40) : which == RLIMIT_FSIZE ? 100000 + rnd(1000) : old.rlim_cur;
    if (once_in(20))
        limit.rlim_max = limit.rlim_cur / 2;
    say(" to %ld", (long)(which == RLIMIT_NOFILE || which == RLIMIT_FSIZE ? limit.rlim_cur : 0));
    tell(setrlimit(which, &limit));
}

static void do_prctl(void)
{
    char text[17] = {0};
    switch (rnd(6)) {
    case 0: say(" set name"), tell(prctl(PR_SET_NAME, rnd(2) ? "short" : "a name that is too long")); break;
    case 1: say(" name"), tell(prctl(PR_GET_NAME, text)), say(" %s", text); break;
    case 2: say(" dumpable"), tell(prctl(PR_GET_DUMPABLE)); break;
    case 3: say(" set dumpable"), tell(prctl(PR_SET_DUMPABLE, rnd(3))); break;
    case 4: say(" set death signal"), tell(prctl(PR_SET_PDEATHSIG, rnd(2) ? 0 : 99)); break;
    default: say(" odd"), tell(prctl(12345, 0, 0, 0, 0));
    }
}

static void do_getcwd(void)
{
    tell(getcwd(buffer, BUFFER) ? 0 : -1);
    char *last = strrchr(buffer, '/');
    if (last)
        say(" %s", last);
}

static void do_chdir(void)
{
    static const char *const places[] = {"d", "..", ".", "e", "a", "link"};
    const char *path = PICK(places);
    char *cwd = getcwd(buffer, BUFFER), *last = cwd ? strrchr(cwd, '/') : NULL;
    /* Never out of the directory. */
    if (strcmp(path, "..") == 0 && (!last || strcmp(last, "/top") == 0))
        path = ".";
    say(" %s", path);
    tell(chdir(path));
}

static void do_ids(void)
{
    say(" group %d session %d", getpgid(0) == getpid(), getsid(0) == getpid());
    say(" nobody"), tell(setuid(12345));
    say(" same"), tell(setuid(getuid()));
    say(" group"), tell(setpgid(0, 0));
}

static void do_sched(void)
{
    struct sched_param param = {0};
    say(" policy"), tell(sched_getscheduler(0));
    say(" param"), tell(sched_getparam(0, &param)), say(" %d", param.sched_priority);
    param.sched_priority = 10;
    say(" real time"), tell(sched_setscheduler(0, SCHED_FIFO, &param));
    say(" most"), tell(sched_get_priority_max(SCHED_RR));
    say(" odd"), tell(sched_get_priority_max(77));
}

static void do_bad(void)
{
    static const int numbers[] = {-1, 390, 500, 600, 1000};
    int number = PICK(numbers);
    say(" %d", number);
    tell(syscall(number, -1, -1, -1, -1, -1, -1));
}

const struct call process_calls[] = {
    {"fork", do_fork, 6},     {"wait", do_wait, 2},   {"prlimit", do_prlimit, 1}, {"prctl", do_prctl, 2}, {"getcwd", do_getcwd, 1},
    {"chdir", do_chdir, 2},   {"ids", do_ids, 1},     {"sched", do_sched, 1},     {"bad", do_bad, 1},     {NULL, NULL, 0},
};
