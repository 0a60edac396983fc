/* Wayland in raw messages, as much as the test clients need: they must be able to say what no library would. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DISPLAY = 1, REGISTRY = 2, FIRST = 3 };

struct wl {
    int fd;
    uint32_t next;
    /* Names of globals, with the versions that are offered. */
    struct { char interface[64]; uint32_t name, version; } globals[64];
    int count;
    /* Bytes that were read and not looked at. */
    uint8_t in[65536];
    size_t have;
    /* The connection ended, or the server sent an error. */
    int over;
    uint32_t error_object, error_code;
};

struct event {
    uint32_t object, opcode, len;
    uint32_t *words;
};

__attribute__((unused)) static void die(const char *what) {
    perror(what);
    exit(1);
}

__attribute__((unused)) static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Sends bytes with a file, or none if it is -1. A connection that ends is noted. */
static void wl_bytes(struct wl *c, const void *bytes, size_t len, int file) {
    const uint8_t *at = bytes;
    while (len > 0 && !c->over) {
        struct iovec part = {(void *)at, len};
        char control[CMSG_SPACE(sizeof(int))] = {0};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        if (file >= 0) {
            m.msg_control = control;
            m.msg_controllen = sizeof control;
            struct cmsghdr *head = CMSG_FIRSTHDR(&m);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(head), &file, sizeof file);
        }
        ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            c->over = 1;
            return;
        }
        at += sent;
        len -= (size_t)sent;
        file = -1;
    }
}

/* Makes a request; `form` has u for a word, s for a string, f for a file. Returns its length. */
static size_t wl_build(uint32_t *m, int *file, uint32_t object, uint32_t opcode, const char *form, va_list list) {
    size_t n = 2;
    *file = -1;
    for (; *form; form++) {
        if (*form == 'u')
            m[n++] = va_arg(list, uint32_t);
        else if (*form == 'f')
            *file = va_arg(list, int);
        else {
            const char *text = va_arg(list, const char *);
            size_t len = strlen(text) + 1;
            m[n++] = (uint32_t)len;
            m[n + len / 4] = 0;
            memcpy(m + n, text, len);
            n += (len + 3) / 4;
        }
    }
    m[0] = object;
    m[1] = (uint32_t)(n * 4) << 16 | opcode;
    return n * 4;
}

static void wl_send(struct wl *c, uint32_t object, uint32_t opcode, const char *form, ...) {
    uint32_t m[1024] = {0};
    int file;
    va_list list;
    va_start(list, form);
    size_t len = wl_build(m, &file, object, opcode, form, list);
    va_end(list);
    wl_bytes(c, m, len, file);
}

static uint32_t wl_new(struct wl *c) { return c->next++; }

/* The next event; waits so many milliseconds for it (-1: for ever). 0: none. */
static int wl_event(struct wl *c, struct event *e, int wait) {
    static _Thread_local uint32_t body[16384];
    for (;;) {
        uint32_t head[2];
        if (c->have >= 8) {
            memcpy(head, c->in, 8);
            size_t len = head[1] >> 16;
            if (len < 8) {
                c->over = 1;
                return 0;
            }
            if (c->have >= len) {
                memcpy(body, c->in + 8, len - 8);
                memmove(c->in, c->in + len, c->have - len);
                c->have -= len;
                *e = (struct event){head[0], head[1] & 0xffff, (uint32_t)len - 8, body};
                if (e->object == DISPLAY && e->opcode == 0) {
                    c->over = 1;
                    c->error_object = body[0];
                    c->error_code = body[1];
                }
                return 1;
            }
        }
        if (c->fd < 0)
            return 0;
        struct pollfd p = {c->fd, POLLIN, 0};
        if (poll(&p, 1, wait) <= 0)
            return 0;
        ssize_t got = recv(c->fd, c->in + c->have, sizeof c->in - c->have, MSG_DONTWAIT);
        if (got <= 0) {
            c->over = 1;
            return 0;
        }
        c->have += (size_t)got;
    }
}

/* Waits until the server has done everything so far, handing events on. 0: the connection is over. */
static int wl_sync(struct wl *c, void (*handle)(struct wl *, struct event *)) {
    uint32_t callback = wl_new(c);
    struct event e;
    wl_send(c, DISPLAY, 0, "u", callback);
    while (!c->over && wl_event(c, &e, -1)) {
        if (e.object == callback)
            return 1;
        handle(c, &e);
    }
    return 0;
}

static void wl_global(struct wl *c, struct event *e) {
    if (e->object == REGISTRY && e->opcode == 0 && c->count < 64) {
        c->globals[c->count].name = e->words[0];
        snprintf(c->globals[c->count].interface, 64, "%s", (char *)(e->words + 2));
        c->globals[c->count].version = e->words[2 + (e->words[1] + 3) / 4];
        c->count++;
    }
}

static int wl_connect(struct wl *c) {
    memset(c, 0, sizeof *c);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *name = getenv("WAYLAND_DISPLAY"), *run = getenv("XDG_RUNTIME_DIR");
    if (name && *name == '/')
        snprintf(to.sun_path, sizeof to.sun_path, "%s", name);
    else
        snprintf(to.sun_path, sizeof to.sun_path, "%s/%s", run ? run : "", name ? name : "wayland-0");
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        if (c->fd >= 0)
            close(c->fd);
        c->over = 1;
        return 0;
    }
    c->next = FIRST;
    wl_send(c, DISPLAY, 1, "u", (uint32_t)REGISTRY);
    return wl_sync(c, wl_global);
}

/* Binds a global at this version or the one that is offered. 0: there is none. */
static uint32_t wl_bind(struct wl *c, const char *interface, uint32_t version) {
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->globals[i].interface, interface) == 0) {
            if (version > c->globals[i].version)
                version = c->globals[i].version;
            uint32_t id = wl_new(c);
            wl_send(c, REGISTRY, 0, "usuu", c->globals[i].name, interface, version, id);
            return id;
        }
    return 0;
}

static int memory(size_t size) {
    int fd = memfd_create("pixels", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        die("memfd");
    return fd;
}

/* A window with its objects. */
struct window {
    uint32_t compositor, shm, base, surface, xdg, toplevel;
    int width, height, configured, closed;
};

__attribute__((unused)) static int window_event(struct wl *c, struct window *w, struct event *e) {
    if (e->object == w->base && e->opcode == 0)
        wl_send(c, w->base, 3, "u", e->words[0]);
    else if (e->object == w->xdg && e->opcode == 0) {
        wl_send(c, w->xdg, 4, "u", e->words[0]);
        w->configured++;
    } else if (e->object == w->toplevel && e->opcode == 1)
        w->closed = 1;
    else
        return 0;
    return 1;
}

/* Makes a window and waits for its first configure. The size that it asks for is left alone. */
__attribute__((unused)) static int window_open(struct wl *c, struct window *w, const char *title) {
    memset(w, 0, sizeof *w);
    w->compositor = wl_bind(c, "wl_compositor", 4);
    w->shm = wl_bind(c, "wl_shm", 1);
    w->base = wl_bind(c, "xdg_wm_base", 1);
    w->surface = wl_new(c);
    wl_send(c, w->compositor, 0, "u", w->surface);
    w->xdg = wl_new(c);
    wl_send(c, w->base, 2, "uu", w->xdg, w->surface);
    w->toplevel = wl_new(c);
    wl_send(c, w->xdg, 1, "u", w->toplevel);
    wl_send(c, w->toplevel, 2, "s", title);
    wl_send(c, w->toplevel, 3, "s", title);
    wl_send(c, w->surface, 6, "");
    struct event e;
    while (!w->configured && !c->over && wl_event(c, &e, -1))
        window_event(c, w, &e);
    return !c->over;
}

__attribute__((unused)) static void commit(struct wl *c, struct window *w, uint32_t buffer, int x, int y, int width, int height) {
    wl_send(c, w->surface, 1, "uuu", buffer, 0u, 0u);
    wl_send(c, w->surface, 9, "uuuu", (uint32_t)x, (uint32_t)y, (uint32_t)width, (uint32_t)height);
    wl_send(c, w->surface, 6, "");
}
