/* Files without a name (O_TMPFILE), and what gives them one: in the home, in a folder, in memory file systems. */
#define _GNU_SOURCE
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *told(long result) {
    static char text[4][32];
    static int turn;
    if (result < 0) return strerrorname_np(errno);
    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof *text, "%ld", result);
    return text[turn];
}

static int names(void) {
    int count = -2;
    DIR *dir = opendir(".");
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static char *by_number(int fd) {
    static char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static void content(const char *path) {
    char buf[64] = "";
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, buf, sizeof buf - 1);
    struct stat st;
    fstat(fd, &st);
    printf(" %s: %s '%s' links %d mode %o size %d\n", path, told(n), buf, (int)st.st_nlink, st.st_mode, (int)st.st_size);
    close(fd);
}

static int joins_by_descriptor(void) {
    struct utsname host;
    int major = 0, minor = 0;
    uname(&host);
    sscanf(host.release, "%d.%d", &major, &minor);
    return major > 6 || (major == 6 && minor >= 10);
}

static void folder(const char *dir) {
    struct stat st;
    char buf[PATH_MAX];
    if (chdir(dir)) exit(1);
    umask(027);
    int fd = open(".", O_TMPFILE | O_RDWR, 0666);
    umask(022);
    printf("flags %x\n", fcntl(fd, F_GETFL) & ~0100000);
    fstat(fd, &st);
    printf("new links %d mode %o size %d names %d\n", (int)st.st_nlink, st.st_mode, (int)st.st_size, names());
    ssize_t len = readlink(by_number(fd), buf, sizeof buf - 1);
    buf[len > 0 ? len : 0] = 0;
    char *slash = strrchr(buf, '/');
    printf("name %d %d\n", slash && slash[1] == '#' && atol(slash + 2) == (long)st.st_ino, strstr(buf, " (deleted)") != NULL);
    printf("write %s", told(write(fd, "content\n", 8)));
    printf(" grow %s", told(ftruncate(fd, 10000)));
    char *map = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memcpy(map + 5000, "mapped", 6);
    munmap(map, 10000);
    printf(" pread %s", told(pread(fd, buf, 6, 5000)));
    printf(" %.6s", buf);
    printf(" shrink %s\n", told(ftruncate(fd, 8)));
    printf("chmod %s", told(fchmod(fd, 0604)));
    struct timespec times[2] = {{1000000000, 5000}, {1100000000, 7000}};
    printf(" times %s", told(futimens(fd, times)));
    printf(" xattr %s", told(fsetxattr(fd, "user.a", "1", 1, 0)));
    fstat(fd, &st);
    printf(" mode %o size %d times %ld %ld blocks %d\n", st.st_mode, (int)st.st_size, (long)st.st_atime, (long)st.st_mtime, st.st_blocks > 0);
    int again = open(by_number(fd), O_RDONLY);
    memset(buf, 0, 16);
    printf("again %s %s", told(read(again, buf, 15)), buf);
    close(again);
    printf("sync %s\n", told(fsync(fd)));
    close(fd);

    fd = open(".", O_TMPFILE | O_WRONLY, 0640);
    write(fd, "content\n", 8);
    fsetxattr(fd, "user.a", "1", 1, 0);
    close(open("taken", O_CREAT | O_WRONLY, 0600));
    printf("not followed %s\n", told(linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "named", 0)));
    printf("taken %s", told(linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "taken", AT_SYMLINK_FOLLOW)));
    printf(" link %s names %d\n", told(linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "named", AT_SYMLINK_FOLLOW)), names());
    printf("more %s", told(write(fd, "more\n", 5)));
    fstat(fd, &st);
    printf(" links %d size %d", (int)st.st_nlink, (int)st.st_size);
    printf(" twice %s\n", told(linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "second", AT_SYMLINK_FOLLOW)));
    content("named");
    content("second");
    printf(" xattr %s\n", told(getxattr("second", "user.a", buf, sizeof buf)));
    unlink("named"), unlink("second"), unlink("taken");
    fstat(fd, &st);
    printf("gone links %d", (int)st.st_nlink);
    printf(" link %s\n", told(linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "third", AT_SYMLINK_FOLLOW)));
    close(fd);

    fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    printf("exclusive %s", told(write(fd, "x", 1)));
    printf(" link %s", told(linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "third", AT_SYMLINK_FOLLOW)));
    fchmod(fd, 0640);
    fstat(fd, &st);
    printf(" mode %o size %d\n", st.st_mode, (int)st.st_size);
    close(fd);

    fd = open(".", O_TMPFILE | O_RDWR, 0);
    write(fd, "closed", 6);
    if (joins_by_descriptor()) printf("by descriptor %s\n", told(linkat(fd, "", AT_FDCWD, "closed", AT_EMPTY_PATH)));
    else linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "closed", AT_SYMLINK_FOLLOW);
    printf("opens %s", told(open("closed", O_RDONLY)));
    fchmod(fd, 0400);
    printf(" then\n");
    content("closed");
    close(fd);
    unlink("closed");

    /* A child inherits it, and a descriptor of the path alone still leads to it. */
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fork() == 0) {
        write(fd, "child", 5);
        _exit(linkat(AT_FDCWD, by_number(fd), AT_FDCWD, "child", AT_SYMLINK_FOLLOW) ? errno : 0);
    }
    int status;
    wait(&status);
    printf("child %d\n", WEXITSTATUS(status));
    close(fd);
    content("child");
    unlink("child");
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    write(fd, "path", 4);
    int path = open(by_number(fd), O_PATH);
    close(fd);
    fd = open(by_number(path), O_RDONLY);
    memset(buf, 0, 16);
    printf("path %s", told(read(fd, buf, 15)));
    printf(" %s", buf);
    printf(" link %s\n", told(linkat(AT_FDCWD, by_number(path), AT_FDCWD, "path", AT_SYMLINK_FOLLOW)));
    close(fd), close(path);
    content("path");
    unlink("path");

    printf("wrong %s", told(open(".", O_TMPFILE | O_RDONLY, 0600)));
    printf(" %s", told(open("missing", O_TMPFILE | O_RDWR, 0600)));
    close(open("file", O_CREAT | O_WRONLY, 0600));
    printf(" %s", told(open("file", O_TMPFILE | O_RDWR, 0600)));
    unlink("file");
    mkdir("closed", 0500);
    printf(" %s\n", told(open("closed", O_TMPFILE | O_RDWR, 0600)));
    rmdir("closed");
    /* Many at once. */
    int many[200], made = 0;
    for (int i = 0; i < 200; i++) made += (many[i] = open(".", O_TMPFILE | O_RDWR, 0600)) >= 0;
    for (int i = 0; i < 200; i++) write(many[i], &i, sizeof i);
    for (int i = 0; i < 200; i++) close(many[i]);
    printf("many %d names %d\n", made, names());
    /* One after another. */
    made = 0;
    for (int i = 0; i < 600; i++) {
        fd = open(".", O_TMPFILE | O_RDWR, 0600);
        made += fd >= 0 && write(fd, "x", 1) == 1;
        if (i % 3 == 0) {
            snprintf(buf, sizeof buf, "n%d", i);
            linkat(AT_FDCWD, by_number(fd), AT_FDCWD, buf, AT_SYMLINK_FOLLOW);
        }
        close(fd);
    }
    printf("turns %d names %d\n", made, names());
    for (int i = 0; i < 600; i += 3) {
        snprintf(buf, sizeof buf, "n%d", i);
        unlink(buf);
    }
    chdir("/");
}

int main(int argc, char **argv) {
    char dir[PATH_MAX];
    const char *parents[] = {argc > 1 ? argv[1] : getenv("HOME"), "/tmp", "/dev/shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(dir, sizeof dir, "%s/tmpfile-XXXXXX", parents[i]);
        if (!mkdtemp(dir)) return 1;
        printf("== %d\n", i);
        folder(dir);
        printf("removed %s\n", told(rmdir(dir)));
    }
    printf("proc %d", open("/proc/self", O_TMPFILE | O_RDWR, 0600) < 0);
    printf(" system %d\n", open("/usr", O_TMPFILE | O_RDWR, 0600) < 0);
    return 0;
}
