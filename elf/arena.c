/* SPDX-License-Identifier: MIT */
/* arena.c - a list of chunks, freed together. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/arena.h"

enum {
	FIRST = 1 << 11,
	CHUNK = 1 << 16
};

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	_Alignas(16) unsigned char bytes[];
};

_Noreturn void arena_full(struct arena *a)
{
	if (a && a->full)
		longjmp(*a->full, 1);
	fputs("bpfweld: out of memory\n", stderr);
	exit(1);
}

static struct arena_chunk *chunk_new(struct arena *a, size_t size)
{
	struct arena_chunk *c = calloc(1, sizeof(*c) + size);

	if (!c)
		arena_full(a);
	c->size = size;
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->chunks;
	void *p;

	if (size > SIZE_MAX / 2)
		arena_full(a);
	size = (size + 15) & ~(size_t)15;
	if (c && c->size - c->used >= size) {
		p = c->bytes + c->used;
		c->used += size;
		return p;
	}
	c = chunk_new(a, size > CHUNK / 4    ? size
			 : c || size > FIRST ? CHUNK
					     : FIRST);
	c->used = size;
	if (size > CHUNK / 4 && a->chunks) { /* keep the open chunk in front */
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c->bytes;
}

void *arena_dup(struct arena *a, const void *p, size_t size)
{
	void *q = arena_alloc(a, size);

	if (size)
		memcpy(q, p, size);
	return q;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_dup(a, s, strlen(s) + 1);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	s = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
}

void *arena_push(struct arena *a, void *p, size_t n, size_t elem)
{
	void *q;

	if (n && (n & (n - 1)))
		return p;
	q = arena_alloc(a, (n ? 2 * n : 1) * elem);
	if (n)
		memcpy(q, p, n * elem);
	return q;
}
