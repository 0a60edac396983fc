/* A stand-in for the library OS image: no libc, no shared memory, no filter. It looks at the world that the monitor
 * made for it, and plays the part of a family that ends in the way its first argument says. */

typedef unsigned long u64;
typedef unsigned int u32;

static long call(long number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    register u64 r10 __asm__("r10") = d;
    register u64 r8 __asm__("r8") = e;
    register u64 r9 __asm__("r9") = f;
    long value;
    __asm__ volatile("syscall" : "=a"(value) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return value;
}
#define CALL(n, a, b, c, d) call(n, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0, 0)

struct request { u32 call, payload_len; u64 args[6]; char payload[256]; };

static void notice(u64 kind, u64 argument, const char *text) {
    struct request r = {13, 0, {kind, argument, 0, 0, 0, 0}, {0}};
    while (text[r.payload_len] && r.payload_len < sizeof r.payload) {
        r.payload[r.payload_len] = text[r.payload_len];
        r.payload_len++;
    }
    char reply[4096];
    CALL(1, GATE, &r, 56 + r.payload_len, 0);
    CALL(0, GATE, reply, sizeof reply, 0);
}

static void end(u64 code, const char *why) {
    if (why[0]) notice(7, 1, why);
    notice(1, code << 8, "");
    notice(6, 0, "");
    for (;;) CALL(34, 0, 0, 0, 0);
}
#define CHECK(what, truth) do { if (!(truth)) end(1, "stand-in: " what); } while (0)

static void look_around(void) {
    CHECK("not the first process of a namespace", CALL(39, 0, 0, 0, 0) == 1);
    CHECK("sees another user", CALL(102, 0, 0, 0, 0) == UID);
    CHECK("a file of the host can be opened", CALL(257, -100, "/etc/passwd", 0, 0) == -2);
    CHECK("there is a /proc", CALL(257, -100, "/proc", 0, 0) == -2);
    CHECK("the root can be written", CALL(83, "/x", 0755, 0, 0) < 0);
    for (int fd = 0; fd < 300; fd++) {
        long flags = CALL(72, fd, 1, 0, 0);
        int expected = fd < FIRST_FREE && fd != DISPLAY;
        CHECK("a handle is missing or one too many is open", (flags >= 0) == expected);
        CHECK("a handle closes on exec", flags < 0 || flags == 0);
    }
    CHECK("can get new privileges", CALL(157, 39, 0, 0, 0) == 1);
    u32 header[2] = {0x20080522, 0}, sets[6] = {1, 1, 1, 1, 1, 1};
    CHECK("cannot ask for its capabilities", CALL(125, header, sets, 0, 0) == 0);
    CHECK("has capabilities", !(sets[0] | sets[1] | sets[3] | sets[4]));
    CHECK("can mount", CALL(165, "none", "/", "tmpfs", 0) < 0);
    long s = CALL(41, 2, 1, 0, 0);
    unsigned char address[16] = {2, 0, 0, 22, 127, 0, 0, 1};
    CHECK("reaches the host's loopback", s < 0 || CALL(42, s, address, 16, 0) == -101);
    u64 limit[2];
    CHECK("may dump core", CALL(97, 4, limit, 0, 0) == 0 && limit[0] == 0 && limit[1] == 0);
    u64 magic = 0;
    CHECK("has no start-up block", call(17, ARENA, (u64)&magic, 8, BOOT_OFFSET, 0, 0) == 8 && magic == MAGIC);
    CHECK("can write the image", CALL(1, IMAGE, &magic, 8, 0) < 0);
}

/* What the first argument after the program's name begins with. */
static char wish(void) {
    u32 section[2];
    char bytes[64] = {0};
    call(17, ARENA, (u64)section, 8, BOOT_OFFSET + ARGV_OFFSET, 0, 0);
    call(17, ARENA, (u64)bytes, 63, BOOT_OFFSET + section[0], 0, 0);
    int i = 0;
    while (bytes[i]) i++;
    return bytes[i + 1];
}

__attribute__((force_align_arg_pointer)) void _start(void) {
    switch (wish()) {
    case 'l': look_around(); end(0, "");
    case 'e': end(3, "");
    case 's': notice(1, 11, ""); notice(6, 0, ""); break;
    case 'p': notice(3, 0, "broken \x1b[1m heart"); break;
    case 'k': CALL(60, 7, 0, 0, 0); break;
    case 'c': notice(2, 5, "{\"comm\":\"victim\",\"maps\":\"\",\"stack\":[4096]}"); end(4, "");
    case 'w': for (;;) CALL(34, 0, 0, 0, 0);
    }
    for (;;) CALL(34, 0, 0, 0, 0);
}
