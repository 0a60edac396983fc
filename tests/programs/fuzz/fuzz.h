/* Random programs of system calls whose output says nothing about the machine: no addresses, no process ids, no times.
 * What a call does depends on the seed, its place and the calls before it, so calls can be left out one by one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
#define PICK(list) ((list)[rnd(COUNT(list))])
#define PAGE 4096
/* Descriptors that calls use are below this. */
#define DESCRIPTORS 24

/* A number below `n`. */
unsigned rnd(unsigned n);
/* One of n. */
static inline int once_in(unsigned n) { return rnd(n) == 0; }
/* Some of these bits: each with one half. */
unsigned some(unsigned bits);
/* Adds to the line of the call. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Adds a result with the name of its error. Returns it. */
long tell(long result);
/* Adds what bytes there are, shortly. */
void tell_bytes(const void *bytes, long len);
/* Bytes to write: up to `max`. */
char *bytes(unsigned max, unsigned *len);
/* A name of a file; it may be missing, a directory or a symbolic link. */
const char *name(void);
/* A descriptor, mostly one that was open before. */
int descriptor(void);
/* Remembers descriptors that came to be. */
void opened(int fd);
/* A directory descriptor to go with a name: mostly AT_FDCWD. */
int at(void);
/* A buffer of BUFFER bytes to read into. */
#define BUFFER 8192
extern char buffer[BUFFER];
/* The memory that calls change: PAGES pages, at first unmapped. */
#define PAGES 32
extern char *arena;
/* The calls of each file. */
struct call {
    const char *name;
    void (*make)(void);
    unsigned weight;
};
extern const struct call file_calls[], name_calls[], channel_calls[], memory_calls[], signal_calls[], process_calls[];
/* Makes a random call; `deep` in a child. */
void make_call(int deep);
/* Prepares the arena, the handlers. */
void prepare_memory(void);
void prepare_signals(void);
/* Adds what handlers saw since the last call. */
void tell_signals(void);
/* Whether touching the byte did not fault; if it faulted, tells the signal. */
int touch(char *byte, int write);
