/* Clients that do what they must not. `wl_hostile CASE...` runs each case on a connection of its own and prints what became
 * of it: "refused OBJECT CODE" after a protocol error, "over" for a connection that just ended, "alive" for one that
 * goes on. Without a case, the names of all. */
#include "wayland.h"

static struct wl c;
static struct window w;
static uint32_t pool;

static void ignore(struct wl *conn, struct event *e) { window_event(conn, &w, e); }

/* A pool of `size` bytes in a file of `real`. */
static uint32_t make_pool(uint32_t size, size_t real) {
    int fd = memory(real);
    uint32_t id = wl_new(&c);
    wl_send(&c, w.shm, 0, "ufu", id, fd, size);
    close(fd);
    return id;
}

static uint32_t make_buffer(uint32_t from, uint32_t offset, uint32_t width, uint32_t height, uint32_t stride) {
    uint32_t id = wl_new(&c);
    wl_send(&c, from, 0, "uuuuuu", id, offset, width, height, stride, 1u);
    return id;
}

static uint32_t make(uint32_t object, uint32_t opcode) {
    uint32_t id = wl_new(&c);
    wl_send(&c, object, opcode, "u", id);
    return id;
}

static uint32_t make_surface(void) { return make(w.compositor, 0); }

static void words(uint32_t a, uint32_t b, uint32_t d) {
    uint32_t m[] = {a, b, d};
    wl_bytes(&c, m, sizeof m, -1);
}

/* Requests that are malformed, or against the rules. */
static void length_zero(void) { words(1, 0, 0); }
static void length_four(void) { words(1, 4 << 16, 0); }
static void length_odd(void) { words(1, 11 << 16, 0); }
static void length_long(void) {
    uint32_t m[2048] = {w.toplevel, 8192 << 16 | 2, 8000};
    wl_bytes(&c, m, sizeof m, -1);
}
static void arguments_missing(void) { wl_send(&c, w.surface, 1, "u", 0u); }
static void object_unknown(void) { wl_send(&c, 77777, 0, ""); }
static void object_zero(void) { wl_send(&c, 0, 0, ""); }
static void object_of_server(void) { wl_send(&c, 0xff000000, 0, ""); }
static void opcode_unknown(void) { wl_send(&c, w.surface, 99, "uuuu", 0u, 0u, 0u, 0u); }
static void opcode_of_shell(void) { wl_send(&c, w.base, 17, ""); }
static void string_unterminated(void) {
    uint32_t m[] = {w.toplevel, 16 << 16 | 2, 4, 0x41414141};
    wl_bytes(&c, m, sizeof m, -1);
}
static void string_long(void) { wl_send(&c, w.toplevel, 2, "u", 0xfffffff0u); }
static void id_zero(void) { wl_send(&c, w.compositor, 0, "u", 0u); }
static void id_of_server(void) { wl_send(&c, w.compositor, 0, "u", 0xff000005u); }
static void id_in_use(void) { wl_send(&c, w.compositor, 0, "u", w.surface); }
static void id_of_display(void) { wl_send(&c, w.compositor, 0, "u", 1u); }
static void file_missing(void) { wl_send(&c, w.shm, 0, "uu", wl_new(&c), 4096u); }
static void file_of_no_memory(void) {
    int ends[2];
    if (pipe(ends) != 0)
        die("pipe");
    wl_send(&c, w.shm, 0, "ufu", wl_new(&c), ends[0], 4096u);
}
static void files_of_nothing(void) {
    int fd = memory(4096);
    for (int i = 0; i < 2000 && !c.over; i++)
        wl_send(&c, w.surface, 9, "uuuuf", 0u, 0u, 1u, 1u, fd);
}
static void global_unknown(void) { wl_send(&c, REGISTRY, 0, "usuu", 4711u, "wl_compositor", 1u, wl_new(&c)); }
static void global_misnamed(void) { wl_send(&c, REGISTRY, 0, "usuu", c.globals[0].name, "wl_nonsense", 1u, wl_new(&c)); }
static void global_version_zero(void) {
    wl_send(&c, REGISTRY, 0, "usuu", c.globals[0].name, c.globals[0].interface, 0u, wl_new(&c));
}
static void global_version_high(void) {
    wl_send(&c, REGISTRY, 0, "usuu", c.globals[0].name, c.globals[0].interface, 1000u, wl_new(&c));
}
static void attach_no_buffer(void) { wl_send(&c, w.surface, 1, "uuu", w.shm, 0u, 0u); }
static void region_is_surface(void) { wl_send(&c, w.surface, 4, "u", w.surface); }
static void pool_empty(void) { make_pool(0, 4096); }
static void pool_negative(void) { make_pool(0x80000000u, 4096); }
static void pool_larger_than_file(void) { make_pool(8192, 4096); }
static void pool_shrinks(void) { wl_send(&c, pool, 2, "u", 64u); }
static void pool_outgrows_file(void) { wl_send(&c, pool, 2, "u", 0x7fffffffu); }
static void buffer_outside(void) { make_buffer(pool, 1 << 20, 64, 64, 256); }
static void buffer_offset_negative(void) { make_buffer(pool, 0xffffff00u, 64, 64, 256); }
static void buffer_stride_small(void) { make_buffer(pool, 0, 64, 64, 100); }
static void buffer_stride_negative(void) { make_buffer(pool, 0, 64, 64, 0x80000000u); }
static void buffer_empty(void) { make_buffer(pool, 0, 0, 0, 0); }
static void buffer_negative(void) { make_buffer(pool, 0, 0xffffffffu, 1, 4); }
static void buffer_overflows(void) { make_buffer(pool, 0, 1, 0x7fffffffu, 0x7fffffffu); }
static void buffer_huge(void) { make_buffer(pool, 0, 0x3fffffffu, 0x7fffffffu, 0xfffffffcu); }
static void buffer_format(void) { wl_send(&c, pool, 0, "uuuuuu", wl_new(&c), 0u, 8u, 8u, 32u, 0xdeadbeefu); }
static void buffer_before_configure(void) {
    uint32_t surface = make_surface(), xdg = wl_new(&c);
    wl_send(&c, w.base, 2, "uu", xdg, surface);
    make(xdg, 1);
    wl_send(&c, surface, 1, "uuu", make_buffer(pool, 0, 8, 8, 32), 0u, 0u);
    wl_send(&c, surface, 6, "");
}
static void role_twice(void) { make(w.xdg, 1); }
static void role_other(void) { wl_send(&c, w.base, 2, "uu", wl_new(&c), w.surface); }
static void surface_before_role(void) { wl_send(&c, w.surface, 0, ""); }
static void xdg_before_role(void) { wl_send(&c, w.xdg, 0, ""); }
static void ack_without_role(void) {
    uint32_t xdg = wl_new(&c);
    wl_send(&c, w.base, 2, "uu", xdg, make_surface());
    wl_send(&c, xdg, 4, "u", 5u);
}
static void geometry_empty(void) { wl_send(&c, w.xdg, 3, "uuuu", 0u, 0u, 0u, 0u); }
static void scale_zero(void) { wl_send(&c, w.surface, 8, "u", 0u); }
static void scale_negative(void) { wl_send(&c, w.surface, 8, "u", 0xffffffffu); }
static void transform_unknown(void) { wl_send(&c, w.surface, 7, "u", 8u); }
static void positioner_incomplete(void) {
    uint32_t surface = make_surface(), xdg = wl_new(&c), positioner = make(w.base, 1);
    wl_send(&c, w.base, 2, "uu", xdg, surface);
    wl_send(&c, xdg, 2, "uuu", wl_new(&c), w.xdg, positioner);
}
static void positioner_negative(void) { wl_send(&c, make(w.base, 1), 1, "uu", 0xffffffffu, 5u); }
static void positioner_anchor(void) { wl_send(&c, make(w.base, 1), 3, "u", 77u); }
static void subsurface_of_itself(void) {
    uint32_t surface = make_surface();
    wl_send(&c, wl_bind(&c, "wl_subcompositor", 1), 1, "uuu", wl_new(&c), surface, surface);
}
static void subsurfaces_in_a_circle(void) {
    uint32_t sub = wl_bind(&c, "wl_subcompositor", 1), a = make_surface(), b = make_surface();
    wl_send(&c, sub, 1, "uuu", wl_new(&c), a, b);
    wl_send(&c, sub, 1, "uuu", wl_new(&c), b, a);
}
static void window_as_subsurface(void) {
    wl_send(&c, wl_bind(&c, "wl_subcompositor", 1), 1, "uuu", wl_new(&c), w.surface, make_surface());
}
static void viewport_negative(void) {
    uint32_t id = wl_new(&c);
    wl_send(&c, wl_bind(&c, "wp_viewporter", 1), 1, "uu", id, w.surface);
    wl_send(&c, id, 2, "uu", 0xfffffff0u, 5u);
}

/* What is allowed as such, but not so much of it. */
static void surfaces(void) {
    for (int i = 0; i < 100000 && !c.over; i++)
        make_surface();
}
static void windows(void) {
    for (int i = 0; i < 100000 && !c.over; i++) {
        uint32_t xdg = wl_new(&c), surface = make_surface();
        wl_send(&c, w.base, 2, "uu", xdg, surface);
        make(xdg, 1);
        wl_send(&c, surface, 6, "");
    }
}
static void regions(void) {
    uint32_t region = make(w.compositor, 1);
    for (int i = 0; i < 1000000 && !c.over; i++)
        wl_send(&c, region, 1, "uuuu", (uint32_t)i * 2, 0u, 1u, 1u);
    for (int i = 0; i < 100000 && !c.over; i++)
        make(w.compositor, 1);
}
static void pools(void) {
    for (int i = 0; i < 100000 && !c.over; i++)
        make_pool(4096, 4096);
}
static void registries(void) {
    for (int i = 0; i < 200000 && !c.over; i++)
        make(DISPLAY, 1);
}
static void pools_of_gibibytes(void) {
    for (int i = 0; i < 64 && !c.over; i++) {
        uint32_t id = make_pool(0x7fffffffu, 4ull << 30);
        uint32_t buffer = make_buffer(id, 0, 16384, 16384, 65536);
        commit(&c, &w, buffer, 0, 0, 16384, 16384);
        wl_sync(&c, ignore);
    }
}
static void pool_of_more_than_a_number(void) { make_pool(0xffffffffu, 4ull << 30); }
static void pool_is_cut_short(void) {
    int fd = memory(64 * 64 * 4);
    uint32_t id = wl_new(&c);
    wl_send(&c, w.shm, 0, "ufu", id, fd, 64u * 64 * 4);
    uint32_t buffer = make_buffer(id, 0, 64, 64, 256);
    for (int i = 0; i < 200 && !c.over; i++) {
        commit(&c, &w, buffer, 0, 0, 64, 64);
        if (ftruncate(fd, i % 2 ? 64 * 64 * 4 : 0) != 0 && i == 0)
            fprintf(stderr, "ftruncate: %s\n", strerror(errno));
        wl_sync(&c, ignore);
    }
}
static void callbacks(void) {
    for (int i = 0; i < 1000000 && !c.over; i++)
        make(w.surface, 3);
}
static void callbacks_committed(void) {
    uint32_t buffer = make_buffer(pool, 0, 64, 64, 256);
    for (int i = 0; i < 300000 && !c.over; i++) {
        make(w.surface, 3);
        commit(&c, &w, buffer, 0, 0, 64, 64);
    }
}
static void syncs_unread(void) {
    for (int i = 0; i < 3000000 && !c.over; i++)
        make(DISPLAY, 0);
}
static void commits_unread(void) {
    uint32_t buffer = make_buffer(pool, 0, 64, 64, 256);
    for (int i = 0; i < 300000 && !c.over; i++)
        commit(&c, &w, buffer, 0, 0, 64, 64);
}
static void titles(void) {
    char text[4000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < 100000 && !c.over; i++)
        wl_send(&c, w.toplevel, 2, "s", text);
}
static void modes(void) {
    for (int i = 0; i < 100000 && !c.over; i++)
        wl_send(&c, w.toplevel, i % 2 ? 9 : 10, "");
}
static void ids_reused(void) {
    struct event e;
    for (int i = 0; i < 100000 && !c.over; i++) {
        uint32_t id = make_surface();
        wl_send(&c, id, 0, "");
        while (!c.over && wl_event(&c, &e, 0))
            ignore(&c, &e);
        /* The very same, as another kind of object: it was said to be free. */
        c.next--;
        wl_sync(&c, ignore);
        wl_send(&c, w.compositor, 1, "u", --c.next);
        wl_send(&c, c.next, 1, "uuuu", 0u, 0u, 1u, 1u);
        wl_send(&c, c.next, 0, "");
        wl_sync(&c, ignore);
        c.next--;
        if (i > 300)
            break;
    }
}
static void destroyed_buffers(void) {
    for (int i = 0; i < 20000 && !c.over; i++) {
        uint32_t buffer = make_buffer(pool, 0, 64, 64, 256);
        wl_send(&c, w.surface, 1, "uuu", buffer, 0u, 0u);
        wl_send(&c, buffer, 0, "");
        wl_send(&c, w.surface, 6, "");
        if (i % 100 == 0)
            wl_sync(&c, ignore);
    }
}
static void damage_everywhere(void) {
    uint32_t buffer = make_buffer(pool, 0, 64, 64, 256);
    static const uint32_t odd[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 64};
    for (int i = 0; i < 1296 && !c.over; i++) {
        wl_send(&c, w.surface, 1, "uuu", buffer, 0u, 0u);
        wl_send(&c, w.surface, i % 2 ? 2 : 9, "uuuu", odd[i % 6], odd[i / 6 % 6], odd[i / 36 % 6], odd[i / 216 % 6]);
        wl_send(&c, w.surface, 6, "");
        wl_sync(&c, ignore);
    }
}
static void noise(void) {
    uint64_t state = 88172645463325252ull;
    struct event e;
    for (int i = 0; i < 100000 && !c.over; i++) {
        uint32_t m[16];
        for (int k = 0; k < 16; k++) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            m[k] = (uint32_t)(state >> 32) % (k < 1 ? 16 : 40);
        }
        uint32_t len = 8 + m[1] % 7 * 4;
        m[1] = len << 16 | m[1] % 12;
        wl_bytes(&c, m, len, -1);
        while (!c.over && wl_event(&c, &e, 0))
            ignore(&c, &e);
    }
}

#define CASE(name) {#name, name}
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(length_zero), CASE(length_four), CASE(length_odd), CASE(length_long), CASE(arguments_missing),
    CASE(object_unknown), CASE(object_zero), CASE(object_of_server), CASE(opcode_unknown), CASE(opcode_of_shell),
    CASE(string_unterminated), CASE(string_long), CASE(id_zero), CASE(id_of_server), CASE(id_in_use),
    CASE(id_of_display), CASE(file_missing), CASE(file_of_no_memory), CASE(files_of_nothing), CASE(global_unknown),
    CASE(global_misnamed), CASE(global_version_zero), CASE(global_version_high), CASE(attach_no_buffer),
    CASE(region_is_surface), CASE(pool_empty), CASE(pool_negative), CASE(pool_larger_than_file), CASE(pool_shrinks),
    CASE(pool_outgrows_file), CASE(buffer_outside), CASE(buffer_offset_negative), CASE(buffer_stride_small),
    CASE(buffer_stride_negative), CASE(buffer_empty), CASE(buffer_negative), CASE(buffer_overflows), CASE(buffer_huge),
    CASE(buffer_format), CASE(buffer_before_configure), CASE(role_twice), CASE(role_other), CASE(surface_before_role),
    CASE(xdg_before_role), CASE(ack_without_role), CASE(geometry_empty), CASE(scale_zero), CASE(scale_negative),
    CASE(transform_unknown), CASE(positioner_incomplete), CASE(positioner_negative), CASE(positioner_anchor),
    CASE(subsurface_of_itself), CASE(subsurfaces_in_a_circle), CASE(window_as_subsurface), CASE(viewport_negative),
    CASE(pool_of_more_than_a_number),
    /* From here on what is too much. */
    CASE(surfaces), CASE(windows), CASE(regions), CASE(pools), CASE(registries), CASE(pools_of_gibibytes),
    CASE(pool_is_cut_short), CASE(callbacks), CASE(callbacks_committed), CASE(syncs_unread), CASE(commits_unread),
    CASE(titles), CASE(modes), CASE(ids_reused), CASE(destroyed_buffers), CASE(damage_everywhere), CASE(noise),
};

int main(int argc, char **argv) {
    size_t count = sizeof cases / sizeof *cases;
    for (size_t k = 0; argc == 1 && k < count; k++)
        puts(cases[k].name);
    for (int i = 1; i < argc; i++)
        for (size_t k = 0; k < count; k++) {
            if (strcmp(argv[i], cases[k].name) != 0)
                continue;
            if (!wl_connect(&c) || !window_open(&c, &w, "hostile")) {
                printf("%s no display\n", argv[i]);
                fflush(stdout);
                continue;
            }
            pool = make_pool(65536, 65536);
            commit(&c, &w, make_buffer(pool, 0, 64, 64, 256), 0, 0, 64, 64);
            cases[k].run();
            /* The error may wait behind many events. */
            struct event e;
            uint32_t callback = make(DISPLAY, 0);
            int answered = 0;
            c.over = 0;
            while (!answered && !c.over && wl_event(&c, &e, 20000))
                answered = e.object == callback && e.opcode == 0;
            if (c.error_object || c.error_code)
                printf("%s refused %u %u\n", argv[i], c.error_object, c.error_code);
            else
                printf("%s %s\n", argv[i], answered ? "alive" : c.over ? "over" : "silent");
            fflush(stdout);
            close(c.fd);
        }
    return 0;
}
