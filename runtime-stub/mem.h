/* SPDX-License-Identifier: MIT */
/* mem.h - memory without a libc: loads that need no alignment, copies that
 * use neither SSE nor string instructions.  Hosted code may use it too.
 *
 * Copies go by 8-byte words where they can, so that an aligned word of a map
 * value is never seen half written.
 */
#ifndef BPFWELD_MEM_H
#define BPFWELD_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t __attribute__((aligned(1), may_alias)) any64;
typedef uint32_t __attribute__((aligned(1), may_alias)) any32;
typedef uint16_t __attribute__((aligned(1), may_alias)) any16;

static inline uint64_t load64(const void *p)
{
	return *(const any64 *)p;
}

static inline uint32_t load32(const void *p)
{
	return *(const any32 *)p;
}

/* Read once: who writes there meanwhile is not seen by halves. */
static inline uint32_t load32_once(const void *p)
{
	return *(const volatile any32 *)p;
}

/* The first n < 8 bytes as a word; nothing behind them is touched. */
static inline uint64_t load_part(const uint8_t *p, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline void mem_copy(void *to, const void *from, uint64_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	for (; n >= 8; n -= 8, d += 8, s += 8)
		*(volatile any64 *)d = load64(s);
	for (; n; n--)
		*(volatile uint8_t *)d++ = *s++;
}

static inline void mem_zero(void *to, uint64_t n)
{
	uint8_t *d = to;

	for (; n >= 8; n -= 8, d += 8)
		*(volatile any64 *)d = 0;
	for (; n; n--)
		*(volatile uint8_t *)d++ = 0;
}

static inline bool mem_equal(const void *a, const void *b, uint64_t n)
{
	const uint8_t *p = a, *q = b;

	for (; n >= 8; n -= 8, p += 8, q += 8)
		if (load64(p) != load64(q))
			return false;
	for (; n; n--)
		if (*p++ != *q++)
			return false;
	return true;
}

static inline bool str_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* Does `s` begin with `start`? */
static inline bool str_starts(const char *s, const char *start)
{
	while (*start && *s == *start)
		s++, start++;
	return !*start;
}

#endif
