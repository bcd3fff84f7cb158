/* SPDX-License-Identifier: MIT */
/* format.h - the kernel's small format language: what one conversion is.  Read
 * by format.c and, before the program runs, by rewriter/verify/format.c.
 *
 *   %[0 +-]*[width] then
 *       d i u x X, l.., ll..   numbers          c   a character
 *       s  pus  pks            strings: at either kind of address, the user's,
 *                              the kernel's
 *       p px pK                an address, 16 digits
 *       ps pS pB               a symbol: the target's addresses have none
 *       pi4 pI4 pi6 pI6        what lies at an address in the kernel's memory
 *   %%                         itself
 */
#ifndef BPFWELD_FORMAT_H
#define BPFWELD_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {
	PERCENT,
	SIGNED,
	UNSIGNED,
	HEX,
	BIG_HEX,
	CHARACTER,
	ADDRESS,
	SYMBOL,
	STRING,
	USER_STRING,
	KERNEL_STRING,
	BACKTRACE,
	IP4,
	IP6, /* text already */
};

struct spec {
	enum kind kind;
	bool wide;   /* 64 bits */
	bool padded; /* an IP address with its leading zeros */
	bool zero, plus, minus, space;
	uint32_t width;
};

/* --- characters, as lib/ctype.c has them: Latin-1 ----------------------- */

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c)
{
	return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
	       (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

static bool is_punct(uint8_t c)
{
	return !is_alnum(c) && ((c > ' ' && c <= '~') || c > 0xa0);
}

static bool is_stop(uint8_t c) /* may follow %s and %p */
{
	return !c || is_space(c) || is_punct(c);
}

/* Control characters may not be printed; parts of UTF-8 may. */
static bool is_text(uint8_t c)
{
	return c >= 0x80 || is_space(c) || (c > ' ' && c <= '~');
}

/* --- what a conversion is ----------------------------------------------- */

/* A format ends where it ended when it was checked: it may be in a map, and others
 * may write there meanwhile.  Every other answer to what is asked here is as good
 * as the one before. */
static uint8_t at(const char *p, const char *end)
{
	return p < end ? *(const volatile uint8_t *)p : 0;
}

static const char *flags_of(const char *p, const char *end, struct spec *s)
{
	uint8_t c;

	for (;; p++) {
		c = at(p, end);
		if (c == '0')
			s->zero = true;
		else if (c == '+')
			s->plus = true;
		else if (c == '-')
			s->minus = true;
		else if (c == ' ')
			s->space = true;
		else
			break;
	}
	for (; is_digit(c); c = at(++p, end))
		s->width = s->width * 10 + (uint32_t)(c - '0');
	if ((int32_t)s->width < 0)
		s->width = 0;
	return p;
}

/* p is at the letter behind %p. */
static const char *pointer_of(const char *p, const char *end, struct spec *s)
{
	uint8_t c = at(p, end), d = c ? at(p + 1, end) : 0;

	s->wide = true;
	if ((c == 'u' || c == 'k') && d == 's') {
		s->kind = c == 'u' ? USER_STRING : KERNEL_STRING;
		return is_stop(at(p + 2, end)) ? p + 2 : NULL;
	}
	if ((c == 'i' || c == 'I') && (d == '4' || d == '6')) {
		s->kind = d == '4' ? IP4 : IP6;
		s->padded = c == 'i';
		return p + 2;
	}
	s->kind = c == 'B'               ? BACKTRACE
		  : c == 's' || c == 'S' ? SYMBOL
					 : ADDRESS;
	if (s->kind != ADDRESS || c == 'x' || c == 'K')
		return p + 1;
	return is_stop(c) ? p : NULL;
}

static const char *number_of(const char *p, const char *end, struct spec *s)
{
	for (int l = 0; l < 2 && at(p, end) == 'l'; l++, p++)
		s->wide = true;
	switch (at(p, end)) {
	case 'd':
	case 'i':
		s->kind = SIGNED;
		break;
	case 'u':
		s->kind = UNSIGNED;
		break;
	case 'x':
		s->kind = HEX;
		break;
	case 'X':
		s->kind = BIG_HEX;
		break;
	default:
		return NULL;
	}
	return p + 1;
}

/* One conversion, p behind its '%'.  Returns what follows, NULL: invalid. */
static const char *spec_of(const char *p, const char *end, struct spec *s)
{
	uint8_t c;

	*s = (struct spec){ .kind = PERCENT };
	if (at(p, end) == '%')
		return p + 1;
	p = flags_of(p, end, s);
	c = at(p, end);
	if (c == 'p')
		return pointer_of(p + 1, end, s);
	s->kind = c == 's' ? STRING : CHARACTER;
	if (c == 's')
		return is_stop(at(p + 1, end)) ? p + 1 : NULL;
	if (c == 'c')
		return p + 1;
	return number_of(p, end, s);
}

#endif
