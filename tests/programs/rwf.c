/* preadv2 and pwritev2 with flags; times of symbolic links. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 32
#endif

static const char *told(long result) {
    static char text[4][32];
    static int turn;
    if (result < 0) return strerrorname_np(errno);
    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof *text, "%ld", result);
    return text[turn];
}

static long take(int fd, off_t at, int flags) {
    static char buf[16];
    return preadv2(fd, &(struct iovec){buf, 8}, 1, at, flags);
}

static long put(int fd, const char *text, off_t at, int flags) {
    return pwritev2(fd, &(struct iovec){(char *)text, strlen(text)}, 1, at, flags);
}

static void quick(const char *name, int reads, int writes) {
    printf("%s", name);
    if (reads >= 0) printf(" read %s", told(take(reads, -1, RWF_NOWAIT)));
    if (writes >= 0) printf(" write %s", told(put(writes, "12345678", -1, RWF_NOWAIT)));
    if (reads >= 0) printf(" read %s", told(take(reads, -1, RWF_NOWAIT)));
    printf("\n");
}

static void appends(void) {
    char buf[64] = "";
    int fd = open("file", O_CREAT | O_RDWR, 0600);
    printf("put %s", told(put(fd, "0123456789", -1, 0)));
    printf(" append %s", told(put(fd, "ab", 2, RWF_APPEND)));
    printf(" at %ld", (long)lseek(fd, 0, SEEK_CUR));
    lseek(fd, 4, SEEK_SET);
    printf(" append %s", told(put(fd, "cd", -1, RWF_APPEND)));
    printf(" at %ld", (long)lseek(fd, 0, SEEK_CUR));
    printf(" read %s", told(take(fd, 0, RWF_APPEND)));
    fcntl(fd, F_SETFL, O_APPEND);
    printf(" always %s", told(put(fd, "ef", 0, 0)));
    printf(" not %s", told(put(fd, "XY", 0, RWF_NOAPPEND)));
    printf(" both %s", told(put(fd, "XY", 0, RWF_APPEND | RWF_NOAPPEND)));
    printf(" sync %s", told(put(fd, "gh", 0, RWF_DSYNC | RWF_APPEND)));
    printf(" unknown %s", told(put(fd, "XY", 0, 1 << 30)));
    printf(" nothing %s\n", told(pwritev2(fd, NULL, 0, 0, 1 << 30)));
    /* Another descriptor of the same file writes as well. */
    int other = open("file", O_WRONLY);
    lseek(other, 0, SEEK_END);
    write(other, "ij", 2);
    write(fd, "kl", 2);
    printf("at %ld %ld", (long)lseek(fd, 0, SEEK_CUR), (long)lseek(other, 0, SEEK_CUR));
    pread(fd, buf, sizeof buf - 1, 0);
    struct stat st;
    fstat(fd, &st);
    printf(" content %s size %d\n", buf, (int)st.st_size);
    printf("cached %s", told(take(fd, 0, RWF_NOWAIT)));
    printf(" end %s\n", told(take(fd, 1000, RWF_NOWAIT)));
    int closed = open("file", O_RDONLY);
    printf("closed %s", told(put(closed, "x", 0, RWF_APPEND)));
    printf(" %s\n", told(take(other, 0, RWF_NOWAIT)));
    close(closed), close(other), close(fd);
    unlink("file");
}

static void links(void) {
    struct stat st;
    symlink("nowhere", "link");
    close(open("target", O_CREAT | O_WRONLY, 0600));
    symlink("target", "to");
    struct timespec times[2] = {{1000000000, 123456789}, {1100000000, 7}};
    printf("itself %s", told(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW)));
    lstat("link", &st);
    printf(" %ld.%09ld %ld.%09ld", (long)st.st_atime, st.st_atim.tv_nsec, (long)st.st_mtime, st.st_mtim.tv_nsec);
    printf(" followed %s\n", told(utimensat(AT_FDCWD, "link", times, 0)));
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = 1200000000;
    printf("one %s", told(utimensat(AT_FDCWD, "to", times, AT_SYMLINK_NOFOLLOW)));
    lstat("to", &st);
    printf(" %ld %d", (long)st.st_mtime, st.st_atime > 1500000000);
    stat("to", &st);
    printf(" target %d\n", st.st_mtime > 1500000000);
    struct timeval old[2] = {{1300000000, 5}, {1400000000, 6}};
    printf("lutimes %s", told(lutimes("to", old)));
    lstat("to", &st);
    printf(" %ld %ld.%09ld", (long)st.st_atime, (long)st.st_mtime, st.st_mtim.tv_nsec);
    int fd = open("to", O_PATH | O_NOFOLLOW);
    times[1].tv_sec = 1250000000;
    printf(" by path %s", told(utimensat(fd, "", times, AT_EMPTY_PATH)));
    fstat(fd, &st);
    printf(" %ld\n", (long)st.st_mtime);
    close(fd);
    unlink("link"), unlink("to"), unlink("target");
}

int main(int argc, char **argv) {
    char dir[PATH_MAX];
    const char *parents[] = {argc > 1 ? argv[1] : getenv("HOME"), "/dev/shm"};
    for (int i = 0; i < 2; i++) {
        snprintf(dir, sizeof dir, "%s/rwf-XXXXXX", parents[i]);
        if (!mkdtemp(dir) || chdir(dir)) return 1;
        printf("== %d\n", i);
        appends();
        links();
        chdir("/");
        printf("removed %s\n", told(rmdir(dir)));
    }
    int ends[2];
    pipe(ends);
    quick("pipe", ends[0], ends[1]);
    char *much = calloc(1, 200000);
    printf("much %s\n", told(pwritev2(ends[1], &(struct iovec){much, 200000}, 1, -1, RWF_NOWAIT)));
    printf("full %s\n", told(pwritev2(ends[1], &(struct iovec){much, 200000}, 1, -1, RWF_NOWAIT)));
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    quick("socket", ends[0], ends[1]);
    int fd = eventfd(0, 0);
    quick("event", fd, -1);
    fd = open("/dev/null", O_RDWR);
    quick("null", fd, fd);
    fd = open("/dev/zero", O_RDWR);
    quick("zero", fd, fd);
    fd = memfd_create("memory", 0);
    quick("memory", fd, fd);
    quick("proc", open("/proc/self/status", O_RDONLY), -1);
    quick("directory", open("/", O_RDONLY), -1);
    quick("closed", 99, 99);
    return 0;
}
