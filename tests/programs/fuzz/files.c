/* Calls on open files. */
#include "fuzz.h"
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/uio.h>

static const long places[] = {0, 1, 100, 4095, 4096, 5000, 10000, 70000, -1, -4096};
static long place(void) { return PICK(places); }

/* Whether it is a directory: its positions are the file system's own matter. */
static int is_directory(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The process ids in what a signalfd gave. */
static void forget_senders(int fd, long n)
{
    struct signalfd_siginfo *info = (void *)buffer;
    char path[32], target[32] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (n <= 0 || readlink(path, target, sizeof target - 1) < 0 || strcmp(target, "anon_inode:[signalfd]") != 0)
        return;
    for (long i = 0; i < n / (long)sizeof *info; i++)
        info[i].ssi_pid = 0;
}

static void do_read(void)
{
    int fd = descriptor();
    if (is_directory(fd))
        return;
    unsigned len = rnd(3) ? rnd(300) : BUFFER;
    say(" %d %u", fd, len);
    long n = tell(read(fd, buffer, len));
    forget_senders(fd, n);
    tell_bytes(buffer, n);
}

static void do_pread(void)
{
    int fd = descriptor();
    unsigned len = rnd(3000);
    long offset = place();
    say(" %d %u %ld", fd, len, offset);
    tell_bytes(buffer, tell(pread(fd, buffer, len, offset)));
}

static void do_readv(void)
{
    int fd = descriptor();
    unsigned a = rnd(50), b = rnd(200);
    if (is_directory(fd))
        return;
    struct iovec parts[] = {{buffer, a}, {NULL, 0}, {buffer + a, b}};
    memset(buffer, 0, a + b);
    say(" %d %u+%u", fd, a, b);
    long n = tell(readv(fd, parts, 3));
    forget_senders(fd, n);
    tell_bytes(buffer, n);
}

static void do_write(void)
{
    unsigned len;
    char *data = bytes(3000, &len);
    int fd = descriptor();
    say(" %d %u", fd, len);
    tell(write(fd, data, len));
}

static void do_pwrite(void)
{
    unsigned len;
    char *data = bytes(9000, &len);
    int fd = descriptor();
    long offset = place();
    say(" %d %u %ld", fd, len, offset);
    tell(pwrite(fd, data, len, offset));
}

static void do_writev(void)
{
    unsigned len;
    char *data = bytes(2000, &len);
    int fd = descriptor();
    len += len == 0;
    struct iovec parts[] = {{data, len / 3}, {data + len / 3, len - len / 3}};
    say(" %d %u", fd, len);
    tell(writev(fd, parts, 2));
}

static void do_lseek(void)
{
    static const int from[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_SET, 9};
    int fd = descriptor(), whence = PICK(from);
    long offset = place();
    say(" %d %ld %d", fd, offset, whence);
    long result = lseek(fd, offset, whence);
    if (is_directory(fd))
        lseek(fd, 0, SEEK_SET);
    else
        tell(result);
}

static void do_ftruncate(void)
{
    int fd = descriptor();
    long len = place();
    say(" %d %ld", fd, len);
    tell(ftruncate(fd, len));
}

static void do_fallocate(void)
{
    static const int modes[] = {0, 1, 3, 2, 64};
    int fd = descriptor(), mode = PICK(modes);
    long offset = place(), len = place();
    say(" %d %d %ld %ld", fd, mode, offset, len);
    tell(fallocate(fd, mode, offset, len));
}

static void tell_stat(long result, const struct stat *st)
{
    tell(result);
    if (result != 0)
        return;
    /* What fchmod does to pipes and sockets nobody sees but stat; the host gets no set-ID files from apps. */
    int named = S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) || S_ISDIR(st->st_mode);
    say(" %o", st->st_mode & (named ? ~(S_ISUID | S_ISGID) : S_IFMT));
    if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
        say(" links %lu size %ld", st->st_nlink, st->st_size);
    /* Only a time that was set. When a file was read is the host's matter. */
    if (S_ISREG(st->st_mode) && st->st_mtime < 1000000)
        say("\nmodified %ld.%ld", st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    else if (S_ISREG(st->st_mode))
        say("\nmodified now");
}

static void do_fstat(void)
{
    struct stat st;
    int fd = descriptor();
    say(" %d", fd);
    tell_stat(fstat(fd, &st), &st);
}

static void do_stat(void)
{
    static const int flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 1};
    struct stat st;
    const char *path = name();
    int flag = PICK(flags), dir = at();
    say(" %d %s %x", dir, path, flag);
    tell_stat(fstatat(dir, path, &st, flag), &st);
}

static void do_close(void)
{
    int fd = descriptor();
    if (fd < 3)
        fd = 3;
    say(" %d", fd);
    tell(close(fd));
}

static void do_dup(void)
{
    int fd = descriptor();
    say(" %d", fd);
    opened(tell(dup(fd)));
}

static void do_dup3(void)
{
    int fd = descriptor(), to = 3 + rnd(12), flags = once_in(3) ? O_CLOEXEC : once_in(9) ? 1 : 0;
    say(" %d %d %d", fd, to, flags);
    opened(tell(once_in(2) ? dup2(fd, to) : dup3(fd, to, flags)));
}

static void do_fcntl(void)
{
    int fd = descriptor();
    switch (rnd(6)) {
    case 0: say(" %d getfl", fd), say(" = %o", fcntl(fd, F_GETFL)); break;
    case 1: {
        int flags = O_NONBLOCK | some(O_APPEND | O_NOATIME);
        say(" %d setfl %o", fd, flags), tell(fcntl(fd, F_SETFL, flags));
        break;
    }
    case 2: say(" %d getfd", fd), tell(fcntl(fd, F_GETFD)); break;
    case 3: say(" %d setfd", fd), tell(fcntl(fd, F_SETFD, rnd(2))); break;
    case 4: {
        int from = 3 + rnd(10);
        say(" %d dupfd %d", fd, from), opened(tell(fcntl(fd, once_in(2) ? F_DUPFD : F_DUPFD_CLOEXEC, from)));
        break;
    }
    default: say(" %d odd", fd), tell(fcntl(fd, 9999, 0));
    }
}

static void do_lock(void)
{
    static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    static const int commands[] = {F_SETLK, F_GETLK, F_OFD_SETLK, F_OFD_GETLK};
    struct flock lock = {.l_type = PICK(types), .l_whence = rnd(2) ? SEEK_SET : SEEK_CUR, .l_start = rnd(20), .l_len = rnd(20)};
    int fd = descriptor(), command = PICK(commands);
    say(" %d %d type %d at %d %ld+%ld", fd, command, lock.l_type, lock.l_whence, lock.l_start, lock.l_len);
    if (tell(fcntl(fd, command, &lock)) == 0 && (command == F_GETLK || command == F_OFD_GETLK))
        say(" type %d at %d %ld+%ld", lock.l_type, lock.l_whence, lock.l_start, lock.l_len);
}

static void do_flock(void)
{
    static const int operations[] = {LOCK_SH, LOCK_EX, LOCK_UN, LOCK_UN, 0};
    int fd = descriptor(), operation = PICK(operations);
    say(" %d %d", fd, operation);
    tell(flock(fd, operation | LOCK_NB));
}

static void do_sendfile(void)
{
    int out = descriptor(), in = descriptor();
    off_t offset = rnd(100);
    int with = rnd(2);
    say(" %d %d %s", out, in, with ? "at" : "");
    tell(sendfile(out, in, with ? &offset : NULL, rnd(2000)));
    if (with)
        say(" at %ld", offset);
}

static void do_copy_file_range(void)
{
    int out = descriptor(), in = descriptor();
    off_t from = rnd(3000), to = rnd(3000);
    int with = rnd(4);
    size_t len = rnd(5000);
    say(" %d %d %zu", in, out, len);
    tell(copy_file_range(in, with & 1 ? &from : NULL, out, with & 2 ? &to : NULL, len, 0));
    say(" from %ld to %ld", from, to);
}

static void do_splice(void)
{
    int in = descriptor(), out = descriptor();
    off_t from = rnd(100), to = rnd(100);
    int with = rnd(4);
    size_t len = rnd(2000);
    say(" %d %d %zu", in, out, len);
    tell(splice(in, with & 1 ? &from : NULL, out, with & 2 ? &to : NULL, len, SPLICE_F_NONBLOCK));
    say(" from %ld to %ld", from, to);
}

static void do_fsync(void)
{
    int fd = descriptor();
    say(" %d", fd);
    tell(rnd(2) ? fsync(fd) : fdatasync(fd));
}

static void do_fionread(void)
{
    int fd = descriptor(), n = 0;
    say(" %d", fd);
    if (is_directory(fd))
        return;
    if (tell(ioctl(fd, FIONREAD, &n)) == 0)
        say(" %d", n);
}

static void do_fchmod(void)
{
    int fd = descriptor(), mode = some(0777) | (is_directory(fd) ? 0700 : 0);
    say(" %d %o", fd, mode);
    tell(fchmod(fd, mode));
}

static void do_futimens(void)
{
    struct timespec times[] = {{rnd(1000), rnd(1000)}, {rnd(1000), once_in(3) ? UTIME_OMIT : rnd(1000)}};
    int fd = descriptor();
    say(" %d", fd);
    tell(futimens(fd, times));
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void do_getdents(void)
{
    struct entry {
        uint64_t ino, off;
        unsigned short len;
        unsigned char type;
        char name[];
    };
    char *names[100];
    int fd = descriptor(), count = 0;
    say(" %d", fd);
    long n = syscall(SYS_getdents64, fd, buffer, BUFFER);
    if (n < 0) {
        tell(n);
        return;
    }
    for (long i = 0; i < n && count < 100;) {
        struct entry *entry = (struct entry *)(buffer + i);
        names[count++] = entry->name;
        i += entry->len;
    }
    qsort(names, count, sizeof *names, by_text);
    for (int i = 0; i < count; i++)
        say(" %s", names[i]);
}

const struct call file_calls[] = {
    {"read", do_read, 6},           {"pread", do_pread, 4},     {"readv", do_readv, 2},       {"write", do_write, 6},
    {"pwrite", do_pwrite, 4},       {"writev", do_writev, 2},   {"lseek", do_lseek, 4},       {"ftruncate", do_ftruncate, 3},
    {"fallocate", do_fallocate, 2}, {"fstat", do_fstat, 3},     {"stat", do_stat, 4},         {"close", do_close, 4},
    {"dup", do_dup, 2},             {"dup3", do_dup3, 2},       {"fcntl", do_fcntl, 4},       {"lock", do_lock, 3},
    {"flock", do_flock, 2},         {"sendfile", do_sendfile, 2}, {"copy", do_copy_file_range, 2}, {"splice", do_splice, 2},
    {"fsync", do_fsync, 1},         {"fionread", do_fionread, 1}, {"fchmod", do_fchmod, 1},     {"futimens", do_futimens, 1},
    {"getdents", do_getdents, 2},   {NULL, NULL, 0},
};
