/* Calls on memory, all within the arena. */
#include "fuzz.h"
#include <setjmp.h>
#include <sys/mman.h>

char *arena;
static sigjmp_buf back;
static volatile int touching, fault_signal, fault_code;
static char *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (!touching)
        _exit(99);
    fault_signal = signal, fault_code = info->si_code, fault_address = info->si_addr;
    siglongjmp(back, 1);
}

int touch(char *byte, int write)
{
    if (sigsetjmp(back, 1)) {
        touching = 0;
        say(" = signal %d code %d at %ld", fault_signal, fault_code, fault_address - arena);
        return 0;
    }
    touching = 1;
    if (write)
        *(volatile char *)byte = 'w';
    else
        say(" = %02x", *(volatile unsigned char *)byte);
    touching = 0;
    return 1;
}

void prepare_memory(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    arena = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(arena, PAGES * PAGE);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

static char *page(unsigned *len)
{
    unsigned first = rnd(PAGES), most = PAGES - first < 6 ? PAGES - first : 6;
    *len = (1 + rnd(most)) * PAGE;
    say(" %u+%u", first, *len / PAGE);
    return arena + first * PAGE;
}

/* The place instead of the address. */
static void tell_place(void *address)
{
    if (address == MAP_FAILED)
        say(" = %s", strerrorname_np(errno));
    else
        say(" = page %ld", ((char *)address - arena) / PAGE);
}

static void do_mmap(void)
{
    static const int kinds[] = {MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE};
    unsigned len;
    char *where = page(&len);
    int kind = PICK(kinds), prot = rnd(3) ? PROT_READ | PROT_WRITE : some(PROT_READ | PROT_WRITE | PROT_EXEC);
    int fd = kind & MAP_ANONYMOUS ? -1 : descriptor();
    long offset = rnd(3) * PAGE;
    if (once_in(3))
        kind |= MAP_FIXED_NOREPLACE;
    else
        kind |= MAP_FIXED;
    if (once_in(9))
        len -= rnd(PAGE);
    say(" kind %x prot %d fd %d offset %ld", kind, prot, fd, offset);
    tell_place(mmap(where, len, prot, kind, fd, offset));
}

static void do_munmap(void)
{
    unsigned len;
    char *where = page(&len);
    tell(munmap(where + (once_in(20) ? 1 : 0), len));
}

static void do_mprotect(void)
{
    unsigned len;
    char *where = page(&len);
    int prot = some(PROT_READ | PROT_WRITE);
    say(" %d", prot);
    tell(mprotect(where, len, prot));
}

static void do_mremap(void)
{
    unsigned len, longer;
    char *where = page(&len), *to = page(&longer);
    int flags = once_in(3) ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED;
    say(" flags %d", flags);
    tell_place(mremap(where, len, longer, flags, to));
}

static void do_madvise(void)
{
    static const int advices[] = {MADV_DONTNEED, MADV_DONTNEED, MADV_REMOVE, MADV_WILLNEED, MADV_NORMAL, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK,
                                  MADV_KEEPONFORK, 22, 23, 77};
    unsigned len;
    char *where = page(&len);
    int advice = PICK(advices);
    say(" %d", advice);
    tell(madvise(where, len, advice));
}

static void do_msync(void)
{
    static const int flags[] = {MS_SYNC, MS_ASYNC, MS_INVALIDATE, MS_SYNC | MS_ASYNC};
    unsigned len;
    char *where = page(&len);
    int flag = PICK(flags);
    say(" %d", flag);
    tell(msync(where, len, flag));
}

static void do_peek(void)
{
    unsigned len;
    char *where = page(&len);
    touch(where + rnd(PAGE), 0);
}

static void do_poke(void)
{
    unsigned len;
    char *where = page(&len);
    if (touch(where + rnd(PAGE), 1))
        say(" = done");
}

/* Calls that read and write memory which may not be there. */
static void do_read_into(void)
{
    unsigned len;
    char *where = page(&len);
    int fd = descriptor();
    say(" %d", fd);
    tell(pread(fd, where + rnd(PAGE), len, 0));
}

static void do_write_from(void)
{
    unsigned len;
    char *where = page(&len);
    int fd = descriptor();
    struct stat st;
    say(" %d", fd);
    /* How much arrives before the fault is told by files only. */
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        tell(pwrite(fd, where, len, 0));
}

static void do_maps(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char text[600], prot[8];
    unsigned long from, to;
    while (maps && fgets(text, sizeof text, maps))
        if (sscanf(text, "%lx-%lx %7s", &from, &to, prot) == 3 && from >= (unsigned long)arena && from < (unsigned long)arena + PAGES * PAGE)
            for (; from < to && from < (unsigned long)arena + PAGES * PAGE; from += PAGE)
                say(" %ld:%s", (from - (unsigned long)arena) / PAGE, prot);
    if (maps)
        fclose(maps);
}

static void do_mlock(void)
{
    unsigned len;
    char *where = page(&len);
    tell(rnd(2) ? mlock(where, PAGE) : munlock(where, len));
}

const struct call memory_calls[] = {
    {"mmap", do_mmap, 10},       {"munmap", do_munmap, 3},   {"mprotect", do_mprotect, 4}, {"mremap", do_mremap, 4},
    {"madvise", do_madvise, 4},  {"msync", do_msync, 1},     {"peek", do_peek, 6},         {"poke", do_poke, 6},
    {"read into", do_read_into, 2}, {"write from", do_write_from, 2}, {"maps", do_maps, 2}, {"mlock", do_mlock, 1},
    {NULL, NULL, 0},
};
