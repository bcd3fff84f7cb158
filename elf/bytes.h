/* SPDX-License-Identifier: MIT */
/* bytes.h - reading untrusted bytes: every access is checked, nothing wraps.
 *
 * A cursor that ran past its end stays there with `bad` set and yields
 * zeroes, so a parser may read a whole record and test once.
 */
#ifndef BPFWELD_BYTES_H
#define BPFWELD_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t n;
};

/* [off, off+len) of b, or NULL. */
static inline const uint8_t *bytes_at(struct bytes b, uint64_t off,
				      uint64_t len)
{
	return off <= b.n && len <= b.n - off ? b.p + off : NULL;
}

struct cursor {
	struct bytes b;
	size_t at;
	bool bad;
};

static inline const uint8_t *cur_take(struct cursor *c, uint64_t len)
{
	const uint8_t *p = c->bad ? NULL : bytes_at(c->b, c->at, len);

	if (!p) {
		c->bad = true;
		return NULL;
	}
	c->at += len;
	return p;
}

#define BYTES_READ(name, type)                                                 \
	static inline type name(struct cursor *c)                              \
	{                                                                      \
		const uint8_t *p = cur_take(c, sizeof(type));                  \
		type v = 0;                                                    \
		if (p)                                                         \
			memcpy(&v, p, sizeof(v));                              \
		return v;                                                      \
	}
BYTES_READ(cur_u8, uint8_t)
BYTES_READ(cur_u16, uint16_t)
BYTES_READ(cur_u32, uint32_t)
BYTES_READ(cur_u64, uint64_t)
BYTES_READ(cur_s32, int32_t)
#undef BYTES_READ

static inline uint64_t cur_uleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = cur_u8(c);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while ((b & 0x80) && !c->bad);
	return v;
}

static inline int64_t cur_sleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = cur_u8(c);
		if (shift < 64)
			v |= (uint64_t)(b & 0x7f) << shift;
		shift += 7;
	} while ((b & 0x80) && !c->bad);
	if (shift < 64 && (b & 0x40))
		v |= ~UINT64_C(0) << shift;
	return (int64_t)v;
}

/* A NUL-terminated string inside b, or NULL. */
static inline const char *bytes_str(struct bytes b, uint64_t off)
{
	if (off >= b.n || !memchr(b.p + off, 0, b.n - off))
		return NULL;
	return (const char *)b.p + off;
}

static inline uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) / to * to;
}

#endif
