/* A client that draws, and what it measures of that.
 *
 *   wl_frames fps SECONDS WIDTH HEIGHT full|small   as fast as buffers come back; prints frames per second
 *   wl_frames paced SECONDS WIDTH HEIGHT            one frame per frame callback, their number in the title from time
 *                                                   to time; prints frames per second
 *   wl_frames input WIDTH HEIGHT                    paints the number of the pointer's motions, until it is closed
 *   wl_frames callbacks                             prints how many frame callbacks came, every second
 *   wl_frames file DIR WIDTH HEIGHT                 pixels in an ordinary file of DIR: paints, then only a part of it
 *   wl_frames shrink WIDTH HEIGHT                   cuts its pool's file short, and makes it long again
 */
#include "wayland.h"

enum { BUFFERS = 3 };

static struct wl c;
static struct window w;
static uint32_t buffers[BUFFERS], *pixels[BUFFERS], callback, pointer, seat;
static int is_free[BUFFERS], pending, motions, changed, width, height, file;

static void handle(struct wl *conn, struct event *e) {
    if (window_event(conn, &w, e))
        return;
    if (e->object == callback && e->opcode == 0)
        pending = 0;
    if (e->object == pointer && e->opcode == 2)
        motions++, changed = 1;
    if (e->object == seat && e->opcode == 0 && e->words[0] & 1 && !pointer) {
        pointer = wl_new(conn);
        wl_send(conn, seat, 0, "u", pointer);
    }
    for (int i = 0; i < BUFFERS; i++)
        if (e->object == buffers[i] && e->opcode == 0)
            is_free[i] = 1;
}

static void open_window(const char *title, int fd) {
    if (!wl_connect(&c) || !window_open(&c, &w, title)) {
        fprintf(stderr, "no display\n");
        exit(1);
    }
    size_t frame = (size_t)width * (size_t)height * 4;
    file = fd >= 0 ? fd : memory(frame * BUFFERS);
    if (ftruncate(file, (off_t)(frame * BUFFERS)) != 0)
        die("ftruncate");
    uint8_t *all = mmap(NULL, frame * BUFFERS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (all == MAP_FAILED)
        die("mmap");
    uint32_t pool = wl_new(&c);
    wl_send(&c, w.shm, 0, "ufu", pool, file, (uint32_t)(frame * BUFFERS));
    for (int i = 0; i < BUFFERS; i++) {
        buffers[i] = wl_new(&c);
        is_free[i] = 1;
        pixels[i] = (uint32_t *)(all + frame * (size_t)i);
        wl_send(&c, pool, 0, "uuuuuu", buffers[i], (uint32_t)(frame * (size_t)i), (uint32_t)width,
                (uint32_t)height, (uint32_t)width * 4, 1u);
    }
}

/* A free buffer; waits for one. -1: the connection is over. */
static int take(void) {
    struct event e;
    for (;;) {
        while (!c.over && wl_event(&c, &e, 0))
            handle(&c, &e);
        for (int i = 0; i < BUFFERS; i++)
            if (is_free[i])
                return i;
        if (c.over || !wl_event(&c, &e, -1))
            return -1;
        handle(&c, &e);
    }
}

static void fill(int buffer, int x, int y, int wide, int high, uint32_t colour) {
    for (int row = y; row < y + high; row++)
        for (int column = x; column < x + wide; column++)
            pixels[buffer][row * width + column] = colour;
}

static void show(int buffer, int x, int y, int wide, int high, int paced) {
    if (paced) {
        callback = wl_new(&c);
        pending = 1;
        wl_send(&c, w.surface, 3, "u", callback);
    }
    is_free[buffer] = 0;
    commit(&c, &w, buffers[buffer], x, y, wide, high);
}

static int frames(double seconds, int is_small, int paced) {
    struct event e;
    double start = now(), last = start;
    int count = 0;
    while (!c.over && !w.closed && last - start < seconds) {
        int i = take();
        if (i < 0)
            break;
        uint32_t colour = 0x404040u + (uint32_t)count % 64u * 0x010101u;
        int side = is_small ? 32 : 0, x = is_small ? count * 7 % (width - 32) : 0;
        fill(i, x, 0, side ? side : width, side ? side : height, colour);
        show(i, x, 0, side ? side : width, side ? side : height, paced);
        while (paced && pending && !c.over && wl_event(&c, &e, -1))
            handle(&c, &e);
        count++;
        last = now();
        if (paced && count % 30 == 0) {
            char title[32];
            snprintf(title, sizeof title, "paced %d", count);
            wl_send(&c, w.toplevel, 2, "s", title);
        }
    }
    /* What was sent has been taken. */
    wl_sync(&c, handle);
    printf("%.1f\n", count / (now() - start));
    return c.over;
}

static int input(void) {
    seat = wl_bind(&c, "wl_seat", 1);
    struct event e;
    changed = 1;
    while (!c.over && !w.closed) {
        if (changed && !pending) {
            int i = take();
            if (i < 0)
                break;
            changed = 0;
            fill(i, 0, 0, width, height, 0x202020u + (uint32_t)(motions * 37 % 200) * 0x010101u);
            show(i, 0, 0, width, height, 1);
        }
        if (wl_event(&c, &e, -1))
            handle(&c, &e);
    }
    return 0;
}

static int callbacks(void) {
    struct event e;
    double start = now();
    int count = 0;
    for (;;) {
        int i = take();
        if (i < 0)
            return 1;
        fill(i, 0, 0, width, height, 0x306090u + (uint32_t)count % 16u);
        show(i, 0, 0, width, height, 1);
        while (pending && !c.over) {
            double left = start + 1 - now();
            if (left <= 0) {
                printf("%d\n", count);
                fflush(stdout);
                count = 0;
                start = now();
            } else if (wl_event(&c, &e, (int)(left * 1000) + 1))
                handle(&c, &e);
        }
        if (c.over)
            return 1;
        count++;
    }
}

/* Paints all red, then the left part green in the next buffer, then the upper part blue in the one after that: each time
   only what changed is damaged, so the later buffers need what was damaged in the earlier ones. Then the first buffer
   again, with one more change. */
static int in_a_file(void) {
    struct event e;
    for (int step = 0; step < 4; step++) {
        /* In turn. */
        int i = step % BUFFERS;
        while (!is_free[i] && !c.over && wl_event(&c, &e, -1))
            handle(&c, &e);
        fill(i, 0, 0, width, height, 0xff0000);
        if (step > 0)
            fill(i, 0, 0, width / 2, height, 0x00ff00);
        if (step > 1)
            fill(i, 0, 0, width, height / 4, 0x0000ff);
        if (step > 2)
            fill(i, width / 2, height / 2, width / 4, height / 4, 0xffffff);
        int damage[4][4] = {{0, 0, width, height},
                            {0, 0, width / 2, height},
                            {0, 0, width, height / 4},
                            {width / 2, height / 2, width / 4, height / 4}};
        show(i, damage[step][0], damage[step][1], damage[step][2], damage[step][3], 1);
        while (pending && !c.over && wl_event(&c, &e, -1))
            handle(&c, &e);
    }
    printf("painted\n");
    fflush(stdout);
    while (!c.over && !w.closed && wl_event(&c, &e, -1))
        handle(&c, &e);
    return 0;
}

static int shrink(void) {
    struct event e;
    size_t frame = (size_t)width * (size_t)height * 4;
    int i = take();
    fill(i, 0, 0, width, height, 0xff0000);
    show(i, 0, 0, width, height, 1);
    while (pending && !c.over && wl_event(&c, &e, -1))
        handle(&c, &e);
    int cut = ftruncate(file, 4096);
    off_t size = lseek(file, 0, SEEK_END);
    char byte = 1;
    ssize_t beyond = pread(file, &byte, 1, 8192);
    int grown = ftruncate(file, (off_t)(frame * BUFFERS));
    ssize_t zero = pread(file, &byte, 1, 8192);
    printf("%d %ld %ld %d %ld %d\n", cut, (long)size, (long)beyond, grown, (long)zero, byte);
    fflush(stdout);
    i = take();
    if (i >= 0) {
        fill(i, 0, 0, width, height, 0x00ff00);
        show(i, 0, 0, width, height, 1);
    }
    while (!c.over && !w.closed && wl_event(&c, &e, -1))
        handle(&c, &e);
    return c.over;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    double seconds = argc > 2 ? atof(argv[2]) : 0;
    int timed = !strcmp(what, "fps") || !strcmp(what, "paced") || !strcmp(what, "file");
    width = argc > 2 + timed ? atoi(argv[2 + timed]) : 300;
    height = argc > 3 + timed ? atoi(argv[3 + timed]) : 200;
    int fd = -1;
    if (!strcmp(what, "file")) {
        char path[4096];
        snprintf(path, sizeof path, "%s/pixels-XXXXXX", argv[2]);
        fd = mkstemp(path);
        if (fd < 0)
            die(path);
        unlink(path);
    }
    open_window(what, fd);
    if (!strcmp(what, "fps"))
        return frames(seconds, argc > 5 && !strcmp(argv[5], "small"), 0);
    if (!strcmp(what, "paced"))
        return frames(seconds, 0, 1);
    if (!strcmp(what, "input"))
        return input();
    if (!strcmp(what, "callbacks"))
        return callbacks();
    if (!strcmp(what, "file"))
        return in_a_file();
    if (!strcmp(what, "shrink"))
        return shrink();
    return 2;
}
