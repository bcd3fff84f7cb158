/* SPDX-License-Identifier: MIT */
/* arena.h - memory of one run: everything a stage makes lives in the arena
 * and dies with it.  Allocation never fails: out of memory ends the tool, which
 * has written nothing yet; in a library it is a longjmp() to `full`, whose
 * owner frees the arena.
 */
#ifndef BPFWELD_ARENA_H
#define BPFWELD_ARENA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct arena {
	struct arena_chunk *chunks;
	jmp_buf *full; /* or NULL */
};

/* There is none left, here or, NULL, in no arena. */
_Noreturn void arena_full(struct arena *a);
/* Zeroed memory, aligned to 16 bytes. */
void *arena_alloc(struct arena *a, size_t size);
/* Copies. */
void *arena_dup(struct arena *a, const void *p, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void arena_free(struct arena *a);

/* Room for one more element: returns `p` or a larger copy of it.  Use as
 *     v = arena_push(a, v, n, sizeof(*v)); v[n++] = x;
 * Capacity is the next power of two of n, so it needs no field. */
void *arena_push(struct arena *a, void *p, size_t n, size_t elem);

#endif
