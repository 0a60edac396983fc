/* A pseudo-terminal: session, controlling terminal, Ctrl-C, Ctrl-Z, background reads, window size, echo. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t resized;

static void on_resize(int signal) {
    (void)signal;
    resized = 1;
}

static void child(const char *slave) {
    setsid();
    int tty = open(slave, O_RDWR);
    dup2(tty, 0);
    dup2(tty, 1);
    signal(SIGWINCH, on_resize);
    printf("session leader %d, foreground %d\n", getsid(0) == getpid(), tcgetpgrp(0) == getpgrp());
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        for (;;) pause();
    }
    setpgid(pid, pid);
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(0, pid);
    printf("ready\n");
    fflush(stdout);
    int status;
    waitpid(pid, &status, WUNTRACED);
    printf("stopped %d by %d\n", WIFSTOPPED(status), WIFSTOPPED(status) ? WSTOPSIG(status) == SIGTSTP : 0);
    kill(pid, SIGCONT);
    waitpid(pid, &status, WCONTINUED);
    printf("continued %d\n", WIFCONTINUED(status));
    fflush(stdout);
    waitpid(pid, &status, 0);
    printf("ended %d by %d\n", WIFSIGNALED(status), WTERMSIG(status) == SIGINT);
    /* A background process that reads is stopped. */
    tcsetpgrp(0, getpgrp());
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        char c;
        signal(SIGTTIN, SIG_DFL);
        read(0, &c, 1);
        _exit(0);
    }
    waitpid(pid, &status, WUNTRACED);
    printf("background read stopped %d\n", WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    printf("size?\n");
    fflush(stdout);
    while (!resized) usleep(10000);
    struct winsize size;
    ioctl(0, TIOCGWINSZ, &size);
    printf("size %d x %d\n", size.ws_col, size.ws_row);
    char line[100];
    fflush(stdout);
    if (fgets(line, sizeof line, stdin)) printf("line %s", line);
    printf("end %d\n", fgets(line, sizeof line, stdin) == NULL);
    fflush(stdout);
    exit(5);
}

static int master;
static char seen[8192];

/* Reads until `text` has come. */
static void expect(const char *text) {
    size_t length = strlen(seen);
    while (!strstr(seen, text) && length < sizeof seen - 1) {
        ssize_t n = read(master, seen + length, sizeof seen - 1 - length);
        if (n <= 0) break;
        length += n;
        seen[length] = 0;
    }
}

static void type(const char *text) { write(master, text, strlen(text)); }

int main(void) {
    alarm(60);
    master = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(master);
    unlockpt(master);
    char *slave = ptsname(master);
    pid_t pid = fork();
    if (pid == 0) {
        close(master);
        child(slave);
    }
    expect("ready");
    type("\x1a");
    expect("continued");
    type("\x03");
    expect("size?");
    struct winsize size = {.ws_col = 91, .ws_row = 17};
    ioctl(master, TIOCSWINSZ, &size);
    expect("size 91 x 17");
    type("wrold\x7f\x7f\x7f\x7forld\n");
    expect("line world");
    type("\x04");
    int status;
    waitpid(pid, &status, 0);
    expect("end 1");
    printf("%s", seen);
    printf("status %d\n", WEXITSTATUS(status));
    char none;
    printf("after the end %zd\n", read(master, &none, 1));
    return 0;
}
