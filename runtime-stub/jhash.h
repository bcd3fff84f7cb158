/* SPDX-License-Identifier: MIT */
/* jhash.h - the hash by which the kernel numbers call chains and finds a value's
 * bits in a bloom filter: lookup3 of Bob Jenkins
 * (https://burtleburtle.net/bob/c/lookup3.c).  For chains hashword(), which the
 * kernel calls jhash2(), over the halves of the addresses, initval 0; for values
 * hashlittle(), the kernel's jhash().
 */
#ifndef BPFWELD_JHASH_H
#define BPFWELD_JHASH_H

#include "runtime-stub/mem.h"

static inline uint32_t jhash_rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

struct jhash {
	uint32_t a, b, c;
};

static inline void jhash_mix(struct jhash *h)
{
	h->a = (h->a - h->c) ^ jhash_rol(h->c, 4);
	h->c += h->b;
	h->b = (h->b - h->a) ^ jhash_rol(h->a, 6);
	h->a += h->c;
	h->c = (h->c - h->b) ^ jhash_rol(h->b, 8);
	h->b += h->a;
	h->a = (h->a - h->c) ^ jhash_rol(h->c, 16);
	h->c += h->b;
	h->b = (h->b - h->a) ^ jhash_rol(h->a, 19);
	h->a += h->c;
	h->c = (h->c - h->b) ^ jhash_rol(h->b, 4);
	h->b += h->a;
}

static inline void jhash_final(struct jhash *h)
{
	h->c = (h->c ^ h->b) - jhash_rol(h->b, 14);
	h->a = (h->a ^ h->c) - jhash_rol(h->c, 11);
	h->b = (h->b ^ h->a) - jhash_rol(h->a, 25);
	h->c = (h->c ^ h->b) - jhash_rol(h->b, 16);
	h->a = (h->a ^ h->c) - jhash_rol(h->c, 4);
	h->b = (h->b ^ h->a) - jhash_rol(h->a, 14);
	h->c = (h->c ^ h->b) - jhash_rol(h->b, 24);
}

/* Half i of the words that are `step` words apart. */
static inline uint32_t jhash_half(const any64 *v, uint32_t step, uint32_t i)
{
	return (uint32_t)(v[i / 2 * step] >> 32 * (i % 2));
}

/* Of n 64-bit words, `step` words apart. */
static inline uint32_t jhash_words(const any64 *v, uint32_t step, uint32_t n)
{
	uint32_t left = 2 * n, i = 0, first = 0xdeadbeef + (left << 2);
	struct jhash h = { first, first, first };

	for (; left > 3; left -= 3, i += 3) {
		h.a += jhash_half(v, step, i);
		h.b += jhash_half(v, step, i + 1);
		h.c += jhash_half(v, step, i + 2);
		jhash_mix(&h);
	}
	if (!left)
		return h.c;
	h.a += jhash_half(v, step, i);
	if (left > 1)
		h.b += jhash_half(v, step, i + 1);
	if (left > 2)
		h.c += jhash_half(v, step, i + 2);
	jhash_final(&h);
	return h.c;
}

/* The first four bytes, or as many as there are. */
static inline uint32_t jhash_part(const uint8_t *p, uint32_t n)
{
	return n >= 4 ? load32(p) : (uint32_t)load_part(p, n);
}

/* Of n bytes.  Where n is a multiple of 4, jhash2() says the same. */
static inline uint32_t jhash(const uint8_t *p, uint32_t n, uint32_t seed)
{
	uint32_t first = 0xdeadbeef + n + seed;
	struct jhash h = { first, first, first };

	for (; n > 12; n -= 12, p += 12) {
		h.a += load32(p);
		h.b += load32(p + 4);
		h.c += load32(p + 8);
		jhash_mix(&h);
	}
	if (!n)
		return h.c;
	h.a += jhash_part(p, n);
	if (n > 4)
		h.b += jhash_part(p + 4, n - 4);
	if (n > 8)
		h.c += jhash_part(p + 8, n - 8);
	jhash_final(&h);
	return h.c;
}

#endif
