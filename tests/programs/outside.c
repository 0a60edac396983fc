/* Prints what inotify tells of a folder and of the file "watched" in it, and does what it is told on its input. Others
   change the folder meanwhile. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static void told(int notify) {
    static char buf[65536] __attribute__((aligned(8)));
    static unsigned cookies[64], count;
    ssize_t n = read(notify, buf, sizeof buf);
    for (char *at = buf; at < buf + n;) {
        struct inotify_event *e = (struct inotify_event *)at;
        unsigned which = 0;
        if (e->cookie) {
            while (which < count && cookies[which] != e->cookie) which++;
            if (which == count && count < 64) cookies[count++] = e->cookie;
            which++;
        }
        struct stat st;
        /* Whoever hears of a change sees it. How much is in a new file when its creation is told is a race with the
           writer, natively too. */
        int there = e->len && lstat(e->name, &st) == 0;
        int sized = there && S_ISREG(st.st_mode) && !(e->mask & IN_CREATE);
        printf("%d %x %s %u %d %d\n", e->wd, e->mask, e->len ? e->name : "-", which, there, sized ? (int)st.st_size : 0);
        at += sizeof *e + e->len;
    }
    fflush(stdout);
}

static void act(char *line) {
    char *what = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n");
    if (!what || !a) return;
    if (!strcmp(what, "write")) {
        int fd = open(a, O_CREAT | O_WRONLY | O_APPEND, 0600);
        if (write(fd, "text", 4) != 4) printf("not written\n");
        close(fd);
    }
    if (!strcmp(what, "cut") && truncate(a, 1)) printf("not cut\n");
    if (!strcmp(what, "remove") && unlink(a)) printf("not removed\n");
    if (!strcmp(what, "rename") && rename(a, b)) printf("not renamed\n");
    if (!strcmp(what, "mkdir") && mkdir(a, 0700)) printf("not made\n");
    if (!strcmp(what, "rmdir") && rmdir(a)) printf("not removed\n");
    if (!strcmp(what, "link") && link(a, b)) printf("not linked\n");
    if (!strcmp(what, "mode") && chmod(a, 0640)) printf("not changed\n");
}

int main(int argc, char **argv) {
    const unsigned mask = IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF;
    if (argc < 2 || chdir(argv[1])) return 1;
    int notify = inotify_init1(IN_NONBLOCK);
    int folder = inotify_add_watch(notify, ".", mask), file = inotify_add_watch(notify, "watched", mask);
    printf("watches %d %d\n", folder, file);
    fflush(stdout);
    struct pollfd p[2] = {{0, POLLIN, 0}, {notify, POLLIN, 0}};
    char line[256];
    setvbuf(stdin, NULL, _IONBF, 0);
    for (;;) {
        if (poll(p, 2, -1) < 0) return 1;
        if (p[1].revents) told(notify);
        if (p[0].revents) {
            if (!fgets(line, sizeof line, stdin)) return 0;
            act(line);
        }
    }
}
