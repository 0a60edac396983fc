/* Extended attributes: of files in the home, in memory file systems, of memory files, links and nodes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static char big[70000];
static void *volatile nowhere = (void *)8;

static const char *told(long result) {
    static char text[64];
    if (result < 0) return strerrorname_np(errno);
    snprintf(text, sizeof text, "%ld", result);
    return text;
}

static int compare(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

/* Names come in the file system's own order. */
static void names(const char *list, ssize_t len) {
    const char *all[64];
    int count = 0;
    for (const char *at = list; at < list + len && count < 64; at += strlen(at) + 1) all[count++] = at;
    qsort(all, count, sizeof *all, compare);
    for (int i = 0; i < count; i++) printf(" %s", all[i]);
    printf("\n");
}

static void file(const char *where, const char *path) {
    char buf[256];
    printf("%s\n", where);
    printf(" list %s\n", told(listxattr(path, buf, sizeof buf)));
    printf(" get %s\n", told(getxattr(path, "user.one", buf, sizeof buf)));
    printf(" replace %s\n", told(setxattr(path, "user.one", "1", 1, XATTR_REPLACE)));
    printf(" create %s\n", told(setxattr(path, "user.one", "value", 5, XATTR_CREATE)));
    printf(" again %s\n", told(setxattr(path, "user.one", "value", 5, XATTR_CREATE)));
    printf(" both %s\n", told(setxattr(path, "user.both", "", 0, XATTR_CREATE | XATTR_REPLACE)));
    printf(" set %s\n", told(setxattr(path, "user.two", "", 0, 0)));
    printf(" binary %s\n", told(setxattr(path, "user.three.more", "a\0b\n", 4, 0)));
    printf(" size %s\n", told(getxattr(path, "user.one", NULL, 0)));
    printf(" short %s\n", told(getxattr(path, "user.one", buf, 4)));
    memset(buf, 0, sizeof buf);
    printf(" get %s", told(getxattr(path, "user.one", buf, sizeof buf)));
    printf(" %s\n", buf);
    printf(" empty %s\n", told(getxattr(path, "user.two", buf, 1)));
    printf(" binary %s %d\n", told(getxattr(path, "user.three.more", buf, 4)), memcmp(buf, "a\0b\n", 4));
    printf(" list size %s\n", told(listxattr(path, NULL, 0)));
    printf(" list short %s\n", told(listxattr(path, buf, 9)));
    ssize_t len = listxattr(path, buf, sizeof buf);
    printf(" list %zd:", len);
    names(buf, len);
    int fd = open(path, O_RDONLY);
    printf(" by descriptor %s", told(fsetxattr(fd, "user.four", "4", 1, 0)));
    printf(" %s", told(fgetxattr(fd, "user.four", buf, sizeof buf)));
    printf(" %s", told(flistxattr(fd, buf, sizeof buf)));
    printf(" %s", told(fremovexattr(fd, "user.four")));
    printf(" %s\n", told(fremovexattr(fd, "user.four")));
    close(fd);
    fd = open(path, O_PATH);
    printf(" by path descriptor %s", told(fgetxattr(fd, "user.one", buf, sizeof buf)));
    printf(" %s\n", told(flistxattr(fd, buf, sizeof buf)));
    close(fd);
    printf(" remove %s", told(removexattr(path, "user.one")));
    printf(" %s\n", told(removexattr(path, "user.one")));
    len = listxattr(path, buf, sizeof buf);
    printf(" list %zd:", len);
    names(buf, len);
    const char *odd[] = {"user.", "user", "other", "other.name", "", "trusted.a", "security.a", "system.a", "system.posix_acl_access"};
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
        printf(" '%s' get %s", odd[i], told(getxattr(path, odd[i], buf, sizeof buf)));
        if (strncmp(odd[i], "system.p", 8)) {
            printf(" set %s", told(setxattr(path, odd[i], "x", 1, 0)));
            printf(" remove %s", told(removexattr(path, odd[i])));
        }
        printf("\n");
    }
    memset(big, 'n', 300);
    memcpy(big, "user.", 5);
    printf(" long name %s", told(getxattr(path, big, buf, sizeof buf)));
    big[255] = 0;
    printf(" %s", told(getxattr(path, big, buf, sizeof buf)));
    printf(" %s\n", told(setxattr(path, big, "1", 1, 0)));
    printf(" too long %s\n", told(setxattr(path, "user.big", big, 65537, 0)));
    printf(" flags %s\n", told(setxattr(path, "user.a", "1", 1, 4)));
    printf(" faults %s", told(setxattr(path, "user.a", nowhere, 1, 0)));
    printf(" %s", told(setxattr(path, nowhere, "1", 1, 0)));
    printf(" %s", told(getxattr(path, "user.three.more", nowhere, 4)));
    printf(" %s\n", told(listxattr(path, nowhere, 1000)));
    chmod(path, 0);
    printf(" closed %s", told(getxattr(path, "user.two", buf, sizeof buf)));
    printf(" %s", told(setxattr(path, "user.two", "1", 1, 0)));
    printf(" %s\n", told(listxattr(path, NULL, 0)));
    chmod(path, 0700);
}

static void folder(const char *dir) {
    char buf[256];
    if (chdir(dir)) exit(1);
    close(open("file", O_CREAT | O_RDWR, 0600));
    mkdir("sub", 0700);
    symlink("file", "link");
    symlink("missing", "dangling");
    mkfifo("fifo", 0600);
    file("file", "file");
    file("directory", "sub");
    printf("link %s", told(setxattr("link", "user.link", "1", 1, 0)));
    printf(" %s", told(getxattr("file", "user.link", buf, sizeof buf)));
    printf(" %s", told(lsetxattr("link", "user.link", "1", 1, 0)));
    printf(" %s", told(lgetxattr("link", "user.link", buf, sizeof buf)));
    printf(" %s", told(llistxattr("link", buf, sizeof buf)));
    printf(" %s", told(lremovexattr("link", "user.link")));
    printf(" %s", told(lsetxattr("file", "user.itself", "1", 1, 0)));
    printf(" %s\n", told(lremovexattr("file", "user.itself")));
    printf("dangling %s", told(setxattr("dangling", "user.a", "1", 1, 0)));
    printf(" %s", told(llistxattr("dangling", buf, sizeof buf)));
    printf(" missing %s\n", told(listxattr("missing", buf, sizeof buf)));
    printf("fifo %s", told(setxattr("fifo", "user.a", "1", 1, 0)));
    printf(" %s", told(getxattr("fifo", "user.a", buf, sizeof buf)));
    printf(" %s\n", told(listxattr("fifo", buf, sizeof buf)));
    /* They are the file's, not the name's. */
    link("file", "other");
    rename("file", "renamed");
    printf("other name %s\n", told(getxattr("other", "user.link", buf, sizeof buf)));
    int fd = open("renamed", O_RDWR);
    struct stat before, after;
    fstat(fd, &before);
    usleep(20000);
    fsetxattr(fd, "user.time", "1", 1, 0);
    fstat(fd, &after);
    printf("change time %d\n", after.st_ctim.tv_sec > before.st_ctim.tv_sec || after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
    unlink("renamed");
    printf("other name %s\n", told(getxattr("other", "user.time", buf, sizeof buf)));
    printf("descriptor %s\n", told(fgetxattr(fd, "user.time", buf, sizeof buf)));
    close(fd);
    unlink("other"), unlink("link"), unlink("dangling"), unlink("fifo"), rmdir("sub");
    chdir("/");
}

int main(int argc, char **argv) {
    char dir[PATH_MAX], buf[256];
    const char *parents[] = {argc > 1 ? argv[1] : getenv("HOME"), "/tmp", "/dev/shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(dir, sizeof dir, "%s/xattr-XXXXXX", parents[i]);
        if (!mkdtemp(dir)) return 1;
        printf("== %d\n", i);
        folder(dir);
        printf("removed %d\n", rmdir(dir));
    }
    /* A memory file system takes what a disk may have no room for. */
    int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
    memset(big, 'v', sizeof big);
    printf("big %s", told(fsetxattr(fd, "user.big", big, 65536, 0)));
    printf(" %s", told(fgetxattr(fd, "user.big", NULL, 0)));
    printf(" %s", told(fgetxattr(fd, "user.big", big, 65535)));
    printf(" %s\n", told(fgetxattr(fd, "user.big", big, sizeof big)));
    close(fd);
    fd = memfd_create("memory", 0);
    printf("memfd %s", told(fsetxattr(fd, "user.a", "1", 1, 0)));
    printf(" %s", told(fgetxattr(fd, "user.a", buf, sizeof buf)));
    printf(" %s\n", told(flistxattr(fd, buf, sizeof buf)));
    int pipes[2];
    pipe(pipes);
    printf("pipe %s", told(fsetxattr(pipes[0], "user.a", "1", 1, 0)));
    printf(" %s", told(fgetxattr(pipes[0], "user.a", buf, sizeof buf)));
    printf(" %s\n", told(flistxattr(pipes[0], buf, sizeof buf)));
    printf("closed %s\n", told(flistxattr(99, buf, sizeof buf)));
    printf("proc %s", told(getxattr("/proc/self/status", "user.a", buf, sizeof buf)));
    printf(" %s", told(setxattr("/proc/self/comm", "user.a", "1", 1, 0)));
    printf(" %s\n", told(listxattr("/proc/self/status", buf, sizeof buf)));
    printf("system %s", told(getxattr("/usr/bin/env", "user.a", buf, sizeof buf)));
    printf(" %s\n", told(listxattr("/usr/bin/env", buf, sizeof buf)));
    return 0;
}
