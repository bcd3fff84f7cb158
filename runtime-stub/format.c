/* SPDX-License-Identifier: MIT */
/* format.c - formatted text (format.h), for bpf_trace_printk, bpf_trace_vprintk
 * and bpf_snprintf.
 *
 * In two passes, as in the kernel: format_prepare() is bpf_bprintf_prepare()
 * (kernel/bpf/helpers.c), format_print() is bstr_printf() (lib/vsprintf.c).
 * The first one refuses with -EINVAL what is no such format, or has too few
 * arguments, and with -ENOSPC what would not fit into the kernel's 512 bytes
 * for arguments, all strings included; a string is cut where they end.  Only
 * then is anything printed.  What the first pass turns into text (pus, pks, pB
 * and IP addresses) is printed without width, and whatever letters and digits
 * follow a %p belong to it: `%pxa` prints no `a`.  Such text does not count in
 * the length once the buffer is full (there, the arguments behind it are then
 * read from the wrong place; here they are not).
 *
 * %p and %pK print the address: the kernel hashes it, but there is nothing to
 * hide from the target itself.
 */
#include <linux/errno.h>

#include "runtime-stub/format.h"
#include "runtime-stub/stub.h"

enum { ARGS_ROOM = 512, CHUNK = 64 };

static bool is_pointer(const struct spec *s)
{
	return s->kind == ADDRESS || s->kind == SYMBOL ||
	       s->kind >= USER_STRING;
}

/* --- printing ----------------------------------------------------------- */

static void put(struct text *t, char c)
{
	if (t->len < t->room)
		t->to[t->len] = c;
	t->len++;
}

static void put_many(struct text *t, char c, uint32_t n)
{
	for (uint32_t i = 0; i < n && t->len + i < t->room; i++)
		t->to[t->len + i] = c;
	t->len += n;
}

static void pad(struct text *t, char c, uint32_t len, const struct spec *s)
{
	if (s->width > len)
		put_many(t, c, s->width - len);
}

static void put_number(struct text *t, const struct spec *s, uint64_t v)
{
	uint32_t base = s->kind == SIGNED || s->kind == UNSIGNED ? 10 : 16;
	char ten = s->kind == BIG_HEX ? 'A' : 'a';
	char digit[20], sign = 0;
	uint32_t n = 0, len;

	if (!s->wide)
		v = s->kind == SIGNED ? (uint64_t)(int32_t)v : (uint32_t)v;
	if (s->kind == SIGNED) {
		sign = s->plus ? '+' : s->space ? ' ' : 0;
		if ((int64_t)v < 0) {
			sign = '-';
			v = -v;
		}
	}
	for (n = 0; n == 0 || v; v /= base) {
		uint32_t d = (uint32_t)(v % base);

		digit[n++] = (char)(d < 10 ? '0' + d : ten + d - 10);
	}
	len = n + (sign != 0);
	if (!s->minus && !s->zero)
		pad(t, ' ', len, s);
	if (sign)
		put(t, sign);
	if (!s->minus && s->zero)
		pad(t, '0', len, s);
	while (n)
		put(t, digit[--n]);
	if (s->minus)
		pad(t, ' ', len, s);
}

static void put_address(struct text *t, struct spec s, uint64_t v)
{
	if (!s.width) {
		s.zero = true;
		s.width = 16;
	}
	put_number(t, &s, v);
}

static uint32_t hex_len(uint64_t v)
{
	return v ? (67 - (uint32_t)__builtin_clzll(v)) / 4 : 1;
}

/* What the kernel has for an address without a symbol. */
static void put_symbol(struct text *t, const struct spec *s, uint64_t v)
{
	const struct spec hex = { .kind = HEX, .wide = true };
	uint32_t len = 2 + hex_len(v);

	if (!s->minus)
		pad(t, ' ', len, s);
	put(t, '0');
	put(t, 'x');
	put_number(t, &hex, v);
	if (s->minus)
		pad(t, ' ', len, s);
}

static void put_ip(struct text *t, const struct spec *s, uint64_t from)
{
	const struct spec three = { .kind = UNSIGNED, .zero = s->padded,
				    .width = s->padded ? 3 : 0 };
	const struct spec two = { .kind = HEX, .zero = true, .width = 2 };
	uint32_t n = s->kind == IP4 ? 4 : 16;
	uint8_t ip[16];

	helper_probe_read_kernel((uint64_t)ip, n, from, 0, 0, t->run);
	for (uint32_t i = 0; i < n; i++) {
		if (s->kind == IP4 && i)
			put(t, '.');
		if (s->kind == IP6 && !s->padded && i && i % 2 == 0)
			put(t, ':');
		put_number(t, s->kind == IP4 ? &three : &two, ip[i]);
	}
}

/* Some characters of a string: their number, n + 1 when there may be more than
 * n, or an error.  buf has room for n + 1. */
static int64_t read_some(enum kind kind, char *buf, uint32_t n, uint64_t from,
			 struct run *run)
{
	uint64_t to = (uint64_t)buf, ret;

	if (kind == USER_STRING)
		ret = helper_probe_read_user_str(to, n + 1, from, 0, 0, run);
	else if (kind == KERNEL_STRING)
		ret = helper_probe_read_kernel_str(to, n + 1, from, 0, 0, run);
	else
		ret = helper_probe_read_str(to, n + 1, from, 0, 0, run);
	return (int64_t)ret < 0 ? (int64_t)ret : (int64_t)ret - 1;
}

/* Length of a string, at most `max`; 0 where it cannot be read. */
static uint32_t string_len(enum kind kind, uint64_t from, uint32_t max,
			   struct run *run)
{
	uint32_t n = 0, want;
	char buf[CHUNK + 1];
	int64_t got;

	do {
		want = max - n < CHUNK ? max - n : CHUNK;
		got = read_some(kind, buf, want, from + n, run);
		if (got < 0)
			return 0;
		n += (uint32_t)got;
	} while (got == want && n < max);
	return n;
}

static void put_string(struct text *t, const struct spec *s, uint64_t from,
		       uint32_t len)
{
	char buf[CHUNK + 1];
	uint32_t n = 0, want;

	if (!s->minus)
		pad(t, ' ', len, s);
	while (n < len) {
		want = len - n < CHUNK ? len - n : CHUNK;
		if (read_some(s->kind, buf, want, from + n, t->run) < want)
			break; /* it has changed */
		for (uint32_t i = 0; i < want; i++)
			put(t, buf[i]);
		n += want;
	}
	if (s->minus)
		pad(t, ' ', len, s);
}

static void put_char(struct text *t, const struct spec *s, char c)
{
	if (!s->minus)
		pad(t, ' ', 1, s);
	put(t, c);
	if (s->minus)
		pad(t, ' ', 1, s);
}

static void put_spec(struct text *t, struct spec *s, uint64_t v, uint32_t len)
{
	if (s->kind >= USER_STRING) {
		if (t->len >= t->room)
			return;
		s->width = 0;
	}
	switch (s->kind) {
	case PERCENT:
		put(t, '%');
		break;
	case CHARACTER:
		put_char(t, s, (char)v);
		break;
	case STRING:
	case USER_STRING:
	case KERNEL_STRING:
		put_string(t, s, v, len);
		break;
	case SYMBOL:
	case BACKTRACE:
		put_symbol(t, s, v);
		break;
	case IP4:
	case IP6:
		put_ip(t, s, v);
		break;
	case ADDRESS:
		put_address(t, *s, v);
		break;
	default:
		put_number(t, s, v);
	}
}

/* --- the two passes ----------------------------------------------------- */

static uint64_t argument(const struct format *f, uint32_t n)
{
	return load64((const uint8_t *)f->arg + 8 * (uint64_t)n);
}

/* Count an argument into the kernel's buffer, of which *used bytes are. */
static long count(struct format *f, const struct spec *s, uint32_t n,
		  uint32_t *used)
{
	uint64_t v = argument(f, n);
	char buf[40]; /* an IPv6 address */
	struct text text = { .to = buf, .room = sizeof(buf), .run = f->run };
	uint32_t need = s->wide ? 8 : 4;

	switch (s->kind) {
	case STRING:
	case USER_STRING:
	case KERNEL_STRING:
		if (*used >= ARGS_ROOM)
			return -ENOSPC;
		f->len[n] = (uint16_t)string_len(s->kind, v,
						 ARGS_ROOM - *used - 1, f->run);
		*used += f->len[n] + 1u;
		return 0;
	case IP4:
	case IP6:
	case BACKTRACE:
		if (s->kind != BACKTRACE &&
		    *used + (s->kind == IP4 ? 4 : 16) > ARGS_ROOM)
			return -ENOSPC;
		put_spec(&text, &(struct spec){ .kind = s->kind,
						   .padded = s->padded }, v, 0);
		*used += text.len + 1;
		return 0;
	case CHARACTER:
		need = 1;
		break;
	default:
		*used = (*used + 3) & ~3u;
	}
	if (*used + need > ARGS_ROOM)
		return -ENOSPC;
	*used += need;
	return 0;
}

long format_prepare(struct format *f, uint32_t size)
{
	uint32_t args = 0, used = 0, n = 0;
	const char *p = f->fmt;
	struct spec s;
	uint8_t c;
	long ret;

	while (n < size && p[n])
		n++;
	if (n == size)
		return -EINVAL;
	f->end = p + n;
	while ((c = at(p, f->end))) {
		if (!is_text(c))
			return -EINVAL;
		p++;
		if (c != '%')
			continue;
		p = spec_of(p, f->end, &s);
		if (!p)
			return -EINVAL;
		if (s.kind == PERCENT)
			continue;
		if (args >= f->nargs)
			return -EINVAL;
		ret = count(f, &s, args++, &used);
		if (ret)
			return ret;
	}
	return 0;
}

void format_print(const struct format *f, struct text *t)
{
	const char *p = f->fmt;
	uint32_t n = 0;
	struct spec s;
	uint8_t c;

	while ((c = at(p, f->end))) {
		p++;
		if (c != '%') {
			put(t, (char)c);
			continue;
		}
		p = spec_of(p, f->end, &s);
		if (!p)
			break; /* it has changed */
		if (s.kind == PERCENT) {
			put(t, '%');
			continue;
		}
		if (n >= f->nargs)
			break;
		put_spec(t, &s, argument(f, n), f->len[n]);
		n++;
		while (is_pointer(&s) && is_alnum(at(p, f->end)))
			p++;
	}
}

long format_args(struct format *f, uint64_t args, uint64_t size)
{
	uint32_t n = (uint32_t)size;

	if (n % 8 || n > FORMAT_ARGS * 8 || (n && !args))
		return -EINVAL;
	f->arg = (const uint64_t *)args;
	f->nargs = n / 8;
	return 0;
}

DEFINE_HELPER(snprintf)
{
	struct format f = { .fmt = (const char *)r3, .run = run };
	struct text t = { .to = (char *)r1, .room = (uint32_t)r2, .run = run };
	long ret = format_args(&f, r4, r5);

	if (!ret)
		ret = format_prepare(&f, UINT32_MAX);
	if (ret)
		return (uint64_t)ret;
	format_print(&f, &t);
	if (t.room)
		t.to[t.len < t.room ? t.len : t.room - 1] = 0;
	return (uint64_t)(int32_t)(t.len + 1);
}
