/* SPDX-License-Identifier: MIT */
/* text.c - what may be shown as it is, and escapes for the rest. */
#include <stdarg.h>
#include <stdlib.h>

#include "elf/text.h"

/* RFC 3629: no surrogates, no overlong forms, nothing over U+10FFFF. */
static const struct {
	uint8_t first, last; /* of the lead byte */
	uint8_t lo, hi;      /* range of the second byte */
	uint8_t len;
	uint8_t bits; /* of the lead byte, that are the character's */
} forms[] = {
	// clang-format off
	{ 0x00, 0x7f, 0x00, 0x00, 1, 0x7f },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2, 0x1f },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3, 0x0f },
	{ 0xe1, 0xec, 0x80, 0xbf, 3, 0x0f },
	{ 0xed, 0xed, 0x80, 0x9f, 3, 0x0f },
	{ 0xee, 0xef, 0x80, 0xbf, 3, 0x0f },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4, 0x07 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4, 0x07 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4, 0x07 },
	// clang-format on
};

size_t text_utf8(struct bytes s, uint32_t *c)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		size_t len = forms[i].len;

		if (!s.n || s.p[0] < forms[i].first || s.p[0] > forms[i].last)
			continue;
		if (s.n < len ||
		    (len > 1 && (s.p[1] < forms[i].lo || s.p[1] > forms[i].hi)))
			return 0;
		*c = s.p[0] & forms[i].bits;
		for (size_t k = 1; k < len; k++) {
			if ((s.p[k] & 0xc0) != 0x80)
				return 0;
			*c = *c << 6 | (s.p[k] & 0x3f);
		}
		return len;
	}
	return 0;
}

bool text_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || /* C0, DEL, C1 */
	       c == 0x200e || c == 0x200f || /* and what turns lines around */
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Bytes at `s` that are shown as they are; 0: the first is escaped. */
static size_t shown(struct bytes s)
{
	uint32_t c;
	size_t len = text_utf8(s, &c);

	return len && (c == '\t' || !text_is_control(c)) ? len : 0;
}

static bool is_plain(struct bytes s)
{
	size_t i = 0;

	while (i < s.n && ((s.p[i] >= 0x20 && s.p[i] < 0x7f) || s.p[i] == '\t'))
		i++;
	return i == s.n;
}

static size_t escaped(char *to, struct bytes s)
{
	char *at = to;

	while (s.n) {
		size_t len = shown(s);

		if (len) {
			memcpy(at, s.p, len);
			at += len;
		} else if (*s.p == '\n') {
			at += sprintf(at, "\\n");
		} else {
			at += sprintf(at, "\\x%02x", *s.p);
		}
		len = len ? len : 1;
		s.p += len;
		s.n -= len;
	}
	return (size_t)(at - to);
}

/* `head` and `tail`: line feeds at its ends that are the format's.  One write:
 * lines of several processes do not get mixed. */
static void put(FILE *to, const char *text, size_t n, size_t head, size_t tail)
{
	struct bytes s = { (const uint8_t *)text + head, n - head - tail };
	char *all;

	if (is_plain(s)) {
		fwrite(text, 1, n, to);
		return;
	}
	all = malloc(n * sizeof("\\x1b"));
	if (!all)
		return;
	memset(all, '\n', head);
	n = head + escaped(all + head, s);
	memset(all + n, '\n', tail);
	fwrite(all, 1, n + tail, to);
	free(all);
}

static void vsay(FILE *to, const char *fmt, va_list ap)
{
	size_t head = strspn(fmt, "\n"), all = strlen(fmt);
	size_t tail = all > head && fmt[all - 1] == '\n';
	char *text = NULL;
	int n = vasprintf(&text, fmt, ap);

	if (n < 0)
		return;
	put(to, text, (size_t)n, head, tail);
	free(text);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(stdout, fmt, ap);
	va_end(ap);
}

void say_to(FILE *to, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(to, fmt, ap);
	va_end(ap);
}
