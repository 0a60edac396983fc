/* How long it takes from a motion of the pointer to the changed picture on the screen: `wl_meter X Y COUNT` moves the
 * pointer COUNT times over a client that paints the number of its motions, looks at the pixel X, Y of the first output
 * after each frame, and prints the milliseconds of each motion, one a line. */
#include "wayland.h"

static struct wl c;
static uint32_t frame, buffer, pool, shm;
static uint32_t *pixels;
static int state;

static void handle(struct wl *conn, struct event *e) {
    if (e->object != frame)
        return;
    if (e->opcode == 0 && state == 0) {
        /* What the pixel comes as: format, width, height, stride. */
        if (!buffer) {
            buffer = wl_new(conn);
            wl_send(conn, pool, 0, "uuuuuu", buffer, 0u, e->words[1], e->words[2], e->words[3], e->words[0]);
        }
        wl_send(conn, frame, 0, "u", buffer);
        state = 1;
    } else if (e->opcode == 2)
        state = 2;
    else if (e->opcode == 3)
        state = 3;
}

/* The colour of the pixel in the next frame of the output. */
static uint32_t look(uint32_t copies, uint32_t output, uint32_t x, uint32_t y) {
    struct event e;
    for (;;) {
        frame = wl_new(&c);
        state = 0;
        wl_send(&c, copies, 1, "uuuuuuu", frame, 0u, output, x, y, 4u, 4u);
        while (state < 2 && !c.over && wl_event(&c, &e, 5000))
            handle(&c, &e);
        wl_send(&c, frame, 1, "");
        if (state == 2)
            return pixels[0];
        if (c.over || state < 2) {
            fprintf(stderr, "the compositor shows nothing\n");
            exit(1);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 4 || !wl_connect(&c))
        return 2;
    uint32_t x = (uint32_t)atoi(argv[1]), y = (uint32_t)atoi(argv[2]);
    int count = atoi(argv[3]);
    shm = wl_bind(&c, "wl_shm", 1);
    uint32_t output = wl_bind(&c, "wl_output", 1), copies = wl_bind(&c, "zwlr_screencopy_manager_v1", 1);
    uint32_t pointers = wl_bind(&c, "zwlr_virtual_pointer_manager_v1", 1);
    if (!output || !copies || !pointers)
        return 2;
    int file = memory(4096);
    pixels = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    pool = wl_new(&c);
    wl_send(&c, shm, 0, "ufu", pool, file, 4096u);
    uint32_t pointer = wl_new(&c);
    wl_send(&c, pointers, 0, "uu", 0u, pointer);
    uint32_t before = 0, seed = 1;
    for (int i = -5; i < count; i++) {
        /* Not in step with the frames. */
        seed = seed * 1103515245u + 12345u;
        usleep(30000 + seed / 65536 % 33 * 1000);
        before = look(copies, output, x, y);
        seed = seed * 1103515245u + 12345u;
        usleep(seed / 65536 % 17 * 1000);
        double start = now();
        wl_send(&c, pointer, 1, "uuuuu", (uint32_t)(start * 1000), x + 40 + (uint32_t)(i & 1) * 8, y + 40, 1920u, 1080u);
        wl_send(&c, pointer, 4, "");
        while (look(copies, output, x, y) == before && now() - start < 5)
            continue;
        /* The first ones bring the pointer in. */
        if (i >= 0)
            printf("%.2f\n", (now() - start) * 1000);
    }
    return 0;
}
