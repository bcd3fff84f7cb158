/* SPDX-License-Identifier: MIT */
/* buf.h - bytes that grow while they are written. */
#ifndef BPFWELD_BUF_H
#define BPFWELD_BUF_H

#include "elf/arena.h"
#include "elf/bytes.h"

struct buf {
	struct arena *a;
	uint8_t *p;
	size_t n, cap;
};

/* Room for len more bytes, zeroed and already counted. */
static inline uint8_t *buf_room(struct buf *b, size_t len)
{
	if (!b->p || b->cap - b->n < len) {
		size_t cap = b->cap ? b->cap * 2 : 256;
		uint8_t *p;

		while (cap - b->n < len)
			cap *= 2;
		p = arena_alloc(b->a, cap);
		if (b->n)
			memcpy(p, b->p, b->n);
		b->p = p;
		b->cap = cap;
	}
	b->n += len;
	return b->p + b->n - len;
}

static inline void buf_put(struct buf *b, const void *p, size_t len)
{
	if (len)
		memcpy(buf_room(b, len), p, len);
}

static inline void buf_u8(struct buf *b, uint8_t v)
{
	*buf_room(b, 1) = v;
}

static inline void buf_u32(struct buf *b, uint32_t v)
{
	buf_put(b, &v, sizeof(v));
}

static inline void buf_u64(struct buf *b, uint64_t v)
{
	buf_put(b, &v, sizeof(v));
}

static inline void buf_uleb(struct buf *b, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		buf_u8(b, (uint8_t)(v | 0x80));
	buf_u8(b, (uint8_t)v);
}

static inline void buf_sleb(struct buf *b, int64_t v)
{
	for (; v < -64 || v > 63; v >>= 7)
		buf_u8(b, (uint8_t)(v | 0x80));
	buf_u8(b, (uint8_t)(v & 0x7f));
}

static inline void buf_align(struct buf *b, size_t to)
{
	buf_room(b, align_up(b->n, to) - b->n);
}

#endif
