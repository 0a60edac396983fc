/* Calls on names. */
#include "fuzz.h"
#include <linux/openat2.h>

static void do_open(void)
{
    static const int ways[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT, O_RDWR | O_CREAT, O_WRONLY | O_CREAT, O_PATH, 3};
    int flags = PICK(ways) | O_NONBLOCK, dir = at(), mode = rnd(4) ? 0644 : some(0777);
    const char *path = name();
    if (once_in(4))
        flags |= some(O_EXCL | O_TRUNC | O_APPEND | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    say(" %d %s %o %o", dir, path, flags, mode);
    opened(tell(openat(dir, path, flags, mode)));
}

static void do_openat2(void)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK, .resolve = some(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV)};
    const char *path = name();
    int dir = at();
    say(" %d %s %llx", dir, path, how.resolve);
    opened(tell(syscall(SYS_openat2, dir, path, &how, sizeof how)));
}

static void do_mkdir(void)
{
    const char *path = name();
    int dir = at(), mode = rnd(3) ? 0755 : some(0777);
    say(" %d %s %o", dir, path, mode);
    tell(mkdirat(dir, path, mode));
}

static void do_unlink(void)
{
    const char *path = name();
    int dir = at(), flags = rnd(3) ? 0 : AT_REMOVEDIR;
    say(" %d %s %x", dir, path, flags);
    tell(unlinkat(dir, path, flags));
}

static void do_rename(void)
{
    const char *from = name(), *to = name();
    int flags = rnd(3) ? 0 : 1 + rnd(3);
    say(" %s %s %d", from, to, flags);
    tell(renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

static void do_link(void)
{
    const char *from = name(), *to = name();
    int flags = once_in(4) ? AT_SYMLINK_FOLLOW : 0;
    say(" %s %s %x", from, to, flags);
    tell(linkat(AT_FDCWD, from, AT_FDCWD, to, flags));
}

static void do_symlink(void)
{
    const char *from = name(), *to = once_in(2) ? "link" : name();
    say(" %s %s", from, to);
    tell(symlink(from, to));
}

static void do_readlink(void)
{
    const char *path = once_in(2) ? "link" : name();
    unsigned len = once_in(4) ? rnd(3) : 100;
    say(" %s %u", path, len);
    tell_bytes(buffer, tell(readlinkat(at(), path, buffer, len)));
}

static void do_chmod(void)
{
    const char *path = name();
    int mode = rnd(3) ? 0755 : some(07777);
    struct stat st;
    /* Directories stay usable: whoever has one open may be asked again whether he may read it. */
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        mode |= 0700;
    say(" %s %o", path, mode);
    tell(chmod(path, mode));
}

static void do_access(void)
{
    const char *path = name();
    int mode = rnd(8), flags = once_in(3) ? AT_EACCESS : 0;
    say(" %s %d %x", path, mode, flags);
    tell(faccessat(AT_FDCWD, path, mode, flags));
}

static void do_truncate(void)
{
    const char *path = name();
    long len = rnd(9000);
    say(" %s %ld", path, len);
    tell(truncate(path, len));
}

static void do_utimensat(void)
{
    struct timespec times[] = {{rnd(1000), rnd(1000)}, {rnd(1000), once_in(9) ? 1000000000 : rnd(1000)}};
    const char *path = name();
    int flags = once_in(3) ? AT_SYMLINK_NOFOLLOW : 0;
    say(" %s %x", path, flags);
    tell(utimensat(AT_FDCWD, path, times, flags));
}

static void do_mkfifo(void)
{
    const char *path = rnd(3) ? "fifo" : name();
    say(" %s", path);
    tell(mkfifo(path, 0600));
}

static void do_mknod(void)
{
    static const int modes[] = {S_IFREG | 0600, S_IFSOCK | 0600, 0644, S_IFCHR | 0600, S_IFDIR | 0700};
    const char *path = name();
    int mode = PICK(modes);
    say(" %s %o", path, mode);
    tell(mknod(path, mode, 0x103));
}

static void do_umask(void)
{
    int mask = rnd(3) ? 022 : some(0077);
    say(" %o", mask);
    say(" = %o", umask(mask));
}

static void do_statfs_of_name(void)
{
    const char *path = name();
    struct statx stx;
    say(" %s", path);
    if (tell(statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx)) == 0)
        say(" %o mask %x", stx.stx_mode & ~(S_ISUID | S_ISGID), stx.stx_mask & STATX_BASIC_STATS);
}

const struct call name_calls[] = {
    {"open", do_open, 20},       {"openat2", do_openat2, 3},  {"mkdir", do_mkdir, 3},    {"unlink", do_unlink, 4},
    {"rename", do_rename, 5},    {"link", do_link, 4},        {"symlink", do_symlink, 3}, {"readlink", do_readlink, 2},
    {"chmod", do_chmod, 2},      {"access", do_access, 2},    {"truncate", do_truncate, 2}, {"utimensat", do_utimensat, 2},
    {"mkfifo", do_mkfifo, 1},    {"mknod", do_mknod, 1},      {"umask", do_umask, 1},    {"statx", do_statfs_of_name, 2},
    {NULL, NULL, 0},
};
