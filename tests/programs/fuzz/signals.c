/* Signals to the process itself. */
#include "fuzz.h"
#include <sys/signalfd.h>
#include <sys/wait.h>

static struct seen {
    int signal, code, value;
} log_[64];
static volatile unsigned logged;
static char stack[65536];

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (logged < COUNT(log_))
        log_[logged++] = (struct seen){signal, info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0};
}

/* The numbers of real-time signals that libc leaves to programs. */
static int any_signal(void)
{
    const int signals[] = {SIGUSR1, SIGUSR2, SIGWINCH, SIGURG, SIGCONT, SIGPIPE, SIGCHLD, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2};
    return PICK(signals);
}

static void do_sigaction(void)
{
    int signal = once_in(30) ? SIGKILL : any_signal(), how = rnd(8);
    struct sigaction action = {.sa_flags = SA_SIGINFO | some(SA_NODEFER | SA_RESETHAND | SA_ONSTACK | SA_RESTART)}, old;
    action.sa_sigaction = on_signal;
    sigemptyset(&action.sa_mask);
    if (once_in(3))
        sigaddset(&action.sa_mask, any_signal());
    if (how == 0)
        action.sa_handler = SIG_IGN, action.sa_flags &= ~SA_SIGINFO;
    say(" %d %d flags %x", signal, how, action.sa_flags);
    if (tell(sigaction(signal, &action, &old)) == 0)
        say(" before: flags %x %s", old.sa_flags & ~0x04000000, old.sa_handler == SIG_DFL ? "default" : old.sa_handler == SIG_IGN ? "ignored" : "handler");
}

void prepare_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    const int signals[] = {SIGUSR1, SIGUSR2, SIGPIPE, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2};
    for (unsigned i = 0; i < COUNT(signals); i++)
        sigaction(signals[i], &action, NULL);
}

void tell_signals(void)
{
    for (unsigned i = 0; i < logged; i++)
        say(" | signal %d code %d value %d", log_[i].signal, log_[i].code, log_[i].value);
    logged = 0;
}

static void set_of(sigset_t *set)
{
    sigemptyset(set);
    for (int n = rnd(4); n > 0; n--)
        sigaddset(set, any_signal());
}

static void tell_set(const sigset_t *set)
{
    for (int signal = 1; signal < 65; signal++)
        if (sigismember(set, signal) == 1)
            say(" %d", signal);
}

static void do_sigprocmask(void)
{
    static const int ways[] = {SIG_BLOCK, SIG_UNBLOCK, SIG_UNBLOCK, SIG_SETMASK, 77};
    sigset_t set, old;
    set_of(&set);
    int how = PICK(ways);
    say(" %d:", how);
    tell_set(&set);
    if (tell(sigprocmask(how, &set, &old)) == 0)
        tell_set(&old);
}

static void do_kill(void)
{
    int signal = once_in(9) ? 0 : once_in(20) ? 99 : any_signal();
    say(" %d", signal);
    tell(rnd(3) ? kill(getpid(), signal) : syscall(SYS_tgkill, getpid(), gettid(), signal));
}

static void do_sigqueue(void)
{
    int signal = any_signal();
    union sigval value = {.sival_int = rnd(1000)};
    say(" %d %d", signal, value.sival_int);
    tell(sigqueue(getpid(), signal, value));
}

static void do_sigpending(void)
{
    sigset_t set;
    if (tell(sigpending(&set)) == 0)
        tell_set(&set);
}

static void do_sigtimedwait(void)
{
    struct timespec none = {0, 0};
    siginfo_t info = {0};
    sigset_t set;
    set_of(&set);
    tell_set(&set);
    if (tell(sigtimedwait(&set, &info, &none)) > 0)
        say(" code %d value %d", info.si_code, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
}

static void do_signalfd(void)
{
    sigset_t set;
    set_of(&set);
    int fd = once_in(3) ? descriptor() : -1;
    say(" %d", fd);
    tell_set(&set);
    opened(tell(signalfd(fd, &set, SFD_NONBLOCK)));
}

static void do_read_signal(void)
{
    struct signalfd_siginfo info;
    int fd = descriptor();
    struct stat st;
    say(" %d", fd);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return;
    long n = read(fd, &info, sizeof info);
    tell(n);
    if (n == sizeof info && info.ssi_signo < 65 && info.ssi_pid == (uint32_t)getpid())
        say(" signal %u code %d", info.ssi_signo, info.ssi_code);
}

static void do_sigaltstack(void)
{
    stack_t new = {.ss_sp = stack, .ss_size = once_in(4) ? 100 : sizeof stack, .ss_flags = once_in(3) ? SS_DISABLE : 0}, old;
    int only = once_in(2);
    say(" %d %zu", only ? -1 : new.ss_flags, new.ss_size);
    if (tell(sigaltstack(only ? NULL : &new, &old)) == 0)
        say(" before: %d %zu", old.ss_flags, old.ss_flags & SS_DISABLE ? 0 : old.ss_size);
}

const struct call signal_calls[] = {
    {"sigaction", do_sigaction, 4},     {"sigprocmask", do_sigprocmask, 5}, {"kill", do_kill, 6},
    {"sigqueue", do_sigqueue, 4},       {"sigpending", do_sigpending, 3},   {"sigtimedwait", do_sigtimedwait, 3},
    {"signalfd", do_signalfd, 2},       {"read signal", do_read_signal, 1}, {"sigaltstack", do_sigaltstack, 1},
    {NULL, NULL, 0},
};
