/* SPDX-License-Identifier: MIT */
/* string.c - bpf_strncmp, bpf_strtol and bpf_strtoul, on memory that programs
 * may use: nothing here can fault.
 *
 * Numbers are read as __bpf_strtoull() does it (kernel/bpf/helpers.c): space, a
 * minus, then a prefix where the base is 0 or 16, then digits; of what follows
 * space and minus at most 63 characters count.  The result is how many were
 * read.
 */
#include <linux/errno.h>

#include "runtime-stub/stub.h"

enum { BASE_MASK = 0x1f, NUMBER_MAX = 63 };

struct input {
	const uint8_t *at, *end;
};

/* Behind the end there is a NUL, as in the kernel's copy. */
static uint8_t peek(const struct input *in, uint32_t n)
{
	return (uint64_t)(in->end - in->at) > n ? in->at[n] : 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

/* 16 or more: none. */
static uint32_t digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return 255;
}

/* _parse_integer_fixup_radix() */
static uint32_t take_prefix(struct input *in, uint32_t base)
{
	bool x = peek(in, 0) == '0' && (peek(in, 1) | 32) == 'x';

	if (!base)
		base = x && digit_of(peek(in, 2)) < 16 ? 16
		       : peek(in, 0) == '0'            ? 8
						       : 10;
	if (base == 16 && x)
		in->at += 2;
	return base;
}

static long take_digits(struct input *in, uint32_t base, uint64_t *value)
{
	bool overflow = false;
	uint32_t n = 0, d;
	uint64_t v = 0;

	for (; (d = digit_of(peek(in, 0))) < base; in->at++, n++) {
		overflow |= v > (UINT64_MAX - d) / base;
		v = v * base + d;
	}
	*value = v;
	return !n ? -EINVAL : overflow ? -ERANGE : 0;
}

static long number(uint64_t text, uint64_t len, uint64_t flags, bool *minus,
		   uint64_t *value)
{
	const uint8_t *first = (const uint8_t *)text;
	struct input in = { first, first + len };
	uint32_t base = flags & BASE_MASK;
	long ret;

	if (!len || flags & ~(uint64_t)BASE_MASK)
		return -EINVAL;
	if (base != 0 && base != 8 && base != 10 && base != 16)
		return -EINVAL;
	while (in.at < in.end && is_space(*in.at))
		in.at++;
	*minus = peek(&in, 0) == '-';
	in.at += *minus;
	if (in.end - in.at > NUMBER_MAX)
		in.end = in.at + NUMBER_MAX;
	ret = take_digits(&in, take_prefix(&in, base), value);
	return ret ? ret : in.at - first;
}

DEFINE_HELPER(strtol)
{
	bool minus;
	uint64_t v;
	long ret = number(r1, r2, r3, &minus, &v);

	*(uint64_t *)r4 = 0;
	if (ret < 0)
		return (uint64_t)ret;
	if (minus ? (int64_t)-v > 0 : (int64_t)v < 0)
		return (uint64_t)-ERANGE;
	*(uint64_t *)r4 = minus ? -v : v;
	return (uint64_t)ret;
}

DEFINE_HELPER(strtoul)
{
	bool minus;
	uint64_t v;
	long ret = number(r1, r2, r3, &minus, &v);

	*(uint64_t *)r4 = 0;
	if (ret < 0)
		return (uint64_t)ret;
	if (minus)
		return (uint64_t)-EINVAL;
	*(uint64_t *)r4 = v;
	return (uint64_t)ret;
}

/* The second string is frozen and ends; the first one may change meanwhile. */
DEFINE_HELPER(strncmp)
{
	const volatile uint8_t *a = (const volatile uint8_t *)r1;
	const uint8_t *b = (const uint8_t *)r3;

	for (uint32_t n = (uint32_t)r2; n; n--, a++, b++) {
		uint8_t c = *a;

		if (c != *b)
			return c < *b ? (uint64_t)-1 : 1;
		if (!c)
			break;
	}
	return 0;
}
