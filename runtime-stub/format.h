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

static const char *flags_of(const char *p, struct spec *s)
{
	for (;; p++) {
		if (*p == '0')
			s->zero = true;
		else if (*p == '+')
			s->plus = true;
		else if (*p == '-')
			s->minus = true;
		else if (*p == ' ')
			s->space = true;
		else
			break;
	}
	for (; is_digit((uint8_t)*p); p++)
		s->width = s->width * 10 + (uint32_t)(*p - '0');
	if ((int32_t)s->width < 0)
		s->width = 0;
	return p;
}

/* p is at the letter behind %p. */
static const char *pointer_of(const char *p, struct spec *s)
{
	s->wide = true;
	if ((*p == 'u' || *p == 'k') && p[1] == 's') {
		s->kind = *p == 'u' ? USER_STRING : KERNEL_STRING;
		return is_stop((uint8_t)p[2]) ? p + 2 : NULL;
	}
	if ((*p == 'i' || *p == 'I') && (p[1] == '4' || p[1] == '6')) {
		s->kind = p[1] == '4' ? IP4 : IP6;
		s->padded = *p == 'i';
		return p + 2;
	}
	s->kind = *p == 'B'                ? BACKTRACE
		  : *p == 's' || *p == 'S' ? SYMBOL
					   : ADDRESS;
	if (s->kind != ADDRESS || *p == 'x' || *p == 'K')
		return p + 1;
	return is_stop((uint8_t)*p) ? p : NULL;
}

static const char *number_of(const char *p, struct spec *s)
{
	for (int l = 0; l < 2 && *p == 'l'; l++, p++)
		s->wide = true;
	switch (*p) {
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
static const char *spec_of(const char *p, struct spec *s)
{
	*s = (struct spec){ .kind = PERCENT };
	if (*p == '%')
		return p + 1;
	p = flags_of(p, s);
	if (*p == 'p')
		return pointer_of(p + 1, s);
	s->kind = *p == 's' ? STRING : CHARACTER;
	if (*p == 's')
		return is_stop((uint8_t)p[1]) ? p + 1 : NULL;
	if (*p == 'c')
		return p + 1;
	return number_of(p, s);
}

#endif
