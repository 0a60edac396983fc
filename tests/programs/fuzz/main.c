/* usage: fuzz FIRST_SEED SEEDS CALLS        runs seeds one after another, each in its own process and directory
 *        fuzz SEED = CALL,CALL,…            runs only these calls of the seed */
#include "fuzz.h"
#include <ftw.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define OUTPUT 900

static uint64_t seed, state;
static char line[16384];
static size_t used;
static int known[DESCRIPTORS];
char buffer[BUFFER];

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

unsigned rnd(unsigned n)
{
    state = mix(state);
    return (unsigned)((state >> 33) % n);
}

unsigned some(unsigned bits) { return bits & rnd(~0u) & 0x7fffffff; }

void say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line + used, sizeof line - used, format, list);
    va_end(list);
    if (n > 0 && used + n < sizeof line)
        used += n;
}

static void flush(void)
{
    for (size_t at = 0; at < used;) {
        ssize_t n = syscall(SYS_write, OUTPUT, line + at, used - at);
        if (n <= 0)
            break;
        at += n;
    }
    used = 0;
}

long tell(long result)
{
    if (result >= 0)
        say(" = %ld", result);
    else
        say(" = %s", strerrorname_np(errno));
    return result;
}

void tell_bytes(const void *data, long len)
{
    uint32_t sum = 0;
    const unsigned char *byte = data;
    for (long i = 0; i < len; i++)
        sum = sum * 31 + byte[i];
    say(" [");
    for (long i = 0; i < len && i < 8; i++)
        say("%02x", byte[i]);
    say(" sum %08x]", sum);
}

char *bytes(unsigned max, unsigned *len)
{
    static char data[65536];
    static const unsigned sizes[] = {0, 1, 7, 100, 511, 1000, 4095, 4096, 4097, 8192, 20000, 65536};
    unsigned n = PICK(sizes);
    *len = n > max ? rnd(max + 1) : n;
    memset(data, 'a' + rnd(26), *len);
    if (*len > 0)
        data[*len - 1] = '.';
    return data;
}

const char *name(void)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "d/a", "d/b", "e/a", "e/d", ".", "..", "d/../a", "e/.", "link", "d/link",
                                        "a/", "d/", "a/b", "", "link/a", "./b", "fifo"};
    return PICK(names);
}

int descriptor(void)
{
    static const int odd[] = {-1, AT_FDCWD, 0, 1, 2, 30, 1000000};
    if (once_in(40))
        return PICK(odd);
    int open = 0;
    for (int i = 0; i < DESCRIPTORS; i++)
        open += known[i];
    if (open == 0)
        return 3;
    int nth = rnd(open);
    for (int i = 0; i < DESCRIPTORS; i++)
        if (known[i] && nth-- == 0)
            return i;
    return 3;
}

void opened(int fd)
{
    if (fd >= DESCRIPTORS)
        close(fd);
    else if (fd > 2)
        known[fd] = 1;
}

int at(void) { return once_in(6) ? descriptor() : AT_FDCWD; }

static void run_from(const struct call *calls, unsigned count)
{
    unsigned all = 0;
    for (unsigned i = 0; i < count; i++)
        all += calls[i].weight;
    unsigned nth = rnd(all);
    while (nth >= calls->weight)
        nth -= calls++->weight;
    say("%s", calls->name);
    calls->make();
}

static unsigned length(const struct call *calls)
{
    unsigned n = 0;
    while (calls[n].name)
        n++;
    return n;
}

void make_call(int deep)
{
    static const struct call *const families[] = {file_calls, file_calls, name_calls, channel_calls, memory_calls, signal_calls, process_calls};
    const struct call *calls = families[rnd(deep ? COUNT(families) - 1 : COUNT(families))];
    run_from(calls, length(calls));
    tell_signals();
    say("\n");
    flush();
}

static void run_call(unsigned index)
{
    state = mix(seed ^ mix(index));
    say("%u ", index);
    make_call(0);
}

static int forget(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)where;
    if (type == FTW_D || type == FTW_DNR)
        chmod(path, 0700);
    return 0;
}

static int erase(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void run_seed(const char *base, unsigned calls, char *chosen)
{
    char dir[4200];
    snprintf(dir, sizeof dir, "%s/fuzz-%llu", base, (unsigned long long)seed);
    /* One more, so that `..` is its own too. */
    if (mkdir(dir, 0755) != 0 || chdir(dir) != 0 || mkdir("top", 0755) != 0 || chdir("top") != 0)
        say("no directory\n"), flush(), _exit(1);
    mkdir("d", 0755), mkdir("e", 0755);
    pid_t child = fork();
    if (child == 0) {
        umask(022);
        alarm(20);
        prepare_memory();
        prepare_signals();
        for (unsigned i = 0; !chosen && i < calls; i++)
            run_call(i);
        for (char *one = chosen ? strtok(chosen, ",") : NULL; one; one = strtok(NULL, ","))
            run_call(atoi(one));
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (chdir(base) != 0)
        _exit(1);
    nftw(dir, forget, 20, FTW_PHYS);
    nftw(dir, forget, 20, FTW_PHYS);
    nftw(dir, erase, 20, FTW_PHYS | FTW_DEPTH);
    say("end %x\n", status);
    flush();
}

int main(int argc, char **argv)
{
    struct rlimit files = {64, 1024}, none = {0, 0};
    char base[4096];
    if (argc < 4 || !getcwd(base, sizeof base) || dup2(1, OUTPUT) < 0)
        return 2;
    for (int fd = 0; fd < OUTPUT; fd++)
        close(fd);
    for (int fd = 0; fd < 3; fd++)
        open("/dev/null", O_RDWR);
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &none);
    int few = strcmp(argv[2], "=") == 0;
    for (unsigned i = 0; i < (few ? 1 : (unsigned)atoi(argv[2])); i++) {
        seed = strtoull(argv[1], NULL, 10) + i;
        say("seed %llu\n", (unsigned long long)seed);
        flush();
        run_seed(base, few ? 0 : atoi(argv[3]), few ? argv[3] : NULL);
    }
    return 0;
}
