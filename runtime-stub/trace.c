/* SPDX-License-Identifier: MIT */
/* trace.c - bpf_trace_printk: the kernel's small format language into the
 * region's ring.
 *
 *   %[0 +-]*[width] then  d i u x X, l.., ll..   c   p px pK ps pS   %%
 *                         s, the same as  pus pks
 *
 * What bpf_bprintf_prepare() (kernel/bpf/helpers.c) refuses is -EINVAL here,
 * too: other letters, more than three arguments, control characters other than
 * space, a format without its NUL; %s and %p must be followed by a space,
 * punctuation or the end.  A pointer prints as 16 digits (the kernel
 * hashes %p; there is nothing to hide from the target itself).  The result is
 * the length of the whole text; the ring keeps TRACE_TEXT bytes of it.
 */
#include <linux/errno.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { MAX_ARGS = 3, STRINGS = 512 };

struct spec {
	char kind;         /* d u x X c p s, or % */
	bool wide;         /* 64 bits */
	bool zero, plus, minus, space;
	uint32_t width;
};

struct text {
	char *to;
	uint32_t room;
	uint32_t len;      /* of the whole text, whether it fitted or not */
	uint32_t strings;  /* bytes left for all %s, as in the kernel */
};

static void put(struct text *t, char c)
{
	if (t->len < t->room)
		t->to[t->len] = c;
	t->len++;
}

static void pad(struct text *t, char c, uint32_t len, uint32_t width)
{
	for (; len < width; len++)
		put(t, c);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_ascii(char c) /* else a part of UTF-8, which may be printed */
{
	return !(c & 0x80);
}

static bool is_print(char c)
{
	return c >= ' ' && c <= '~';
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool is_stop(char c) /* may follow %s and %p */
{
	return !c || is_space(c) || (is_print(c) && !is_alnum(c));
}

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
	for (; *p >= '0' && *p <= '9'; p++)
		if (s->width < 4096)
			s->width = s->width * 10 + (uint32_t)(*p - '0');
	return p;
}

/* One conversion, p behind its '%'.  Returns what follows, NULL: invalid. */
static const char *spec_of(const char *p, struct spec *s)
{
	*s = (struct spec){ 0 };
	if (*p == '%') {
		s->kind = '%';
		return p + 1;
	}
	p = flags_of(p, s);
	s->kind = *p;
	if (*p == 'p' && (p[1] == 'u' || p[1] == 'k') && p[2] == 's') {
		p += 2;
		s->kind = 's';
	}
	if (*p == 'p') {
		p++;
		if (*p == 'x' || *p == 'K' || *p == 's' || *p == 'S')
			return p + 1;
		return is_stop(*p) ? p : NULL;
	}
	if (*p == 's')
		return is_stop(p[1]) ? p + 1 : NULL;
	if (*p == 'c')
		return p + 1;
	for (int l = 0; l < 2 && *p == 'l'; l++, p++)
		s->wide = true;
	s->kind = *p == 'i' ? 'd' : *p;
	if (s->kind == 'd' || s->kind == 'u' || (s->kind | 32) == 'x')
		return p + 1;
	return NULL;
}

static bool format_ok(const char *fmt, uint32_t size)
{
	uint32_t n = 0, args = 0;
	const char *p;
	struct spec s;

	for (; n < size && fmt[n]; n++)
		if (is_ascii(fmt[n]) && !is_print(fmt[n]) && !is_space(fmt[n]))
			return false;
	if (n == size)
		return false;
	for (p = fmt; *p;) {
		if (*p++ != '%')
			continue;
		if (*p != '%' && args++ == MAX_ARGS)
			return false;
		p = spec_of(p, &s);
		if (!p)
			return false;
	}
	return true;
}

static void put_number(struct text *t, const struct spec *s, uint64_t v)
{
	const char *set = s->kind == 'X' ? "0123456789ABCDEF"
					 : "0123456789abcdef";
	uint32_t base = s->kind == 'd' || s->kind == 'u' ? 10 : 16;
	char digit[20], sign = 0;
	uint32_t n = 0, len;

	if (!s->wide)
		v = s->kind == 'd' ? (uint64_t)(int32_t)v : (uint32_t)v;
	if (s->kind == 'd') {
		sign = s->plus ? '+' : s->space ? ' ' : 0;
		if ((int64_t)v < 0) {
			sign = '-';
			v = -v;
		}
	}
	do
		digit[n++] = set[v % base];
	while (v /= base);
	len = n + (sign != 0);
	if (!s->minus && !s->zero)
		pad(t, ' ', len, s->width);
	if (sign)
		put(t, sign);
	if (!s->minus && s->zero)
		pad(t, '0', len, s->width);
	while (n)
		put(t, digit[--n]);
	if (s->minus)
		pad(t, ' ', len, s->width);
}

/* Length of a string in the target, at most `max`; 0 where it cannot be
 * read. */
static uint32_t length_of(uint64_t addr, uint32_t max)
{
	uint64_t end = addr;
	uint32_t n;

	for (n = 0; n < max; n++) {
		if (addr + n == end) {
			if (!can_read(end, 1))
				return 0;
			end = (end | 4095) + 1;
		}
		if (!*(const volatile char *)(addr + n))
			break;
	}
	return n;
}

static void put_string(struct text *t, const struct spec *s, uint64_t addr)
{
	uint32_t n = t->strings ? length_of(addr, t->strings - 1) : 0;

	t->strings -= t->strings ? n + 1 : 0;
	if (!s->minus)
		pad(t, ' ', n, s->width);
	for (uint32_t i = 0; i < n; i++)
		put(t, *(const volatile char *)(addr + i));
	if (s->minus)
		pad(t, ' ', n, s->width);
}

static void put_spec(struct text *t, struct spec *s, uint64_t v)
{
	switch (s->kind) {
	case 'c':
		if (!s->minus)
			pad(t, ' ', 1, s->width);
		put(t, (char)v);
		if (s->minus)
			pad(t, ' ', 1, s->width);
		break;
	case 's':
		put_string(t, s, v);
		break;
	case 'p':
		s->wide = true;
		if (!s->width) {
			s->zero = true;
			s->width = 16;
		}
		/* fall through */
	default:
		put_number(t, s, v);
	}
}

static uint32_t format(struct text *t, const char *p, const uint64_t *arg)
{
	struct spec s;

	while (*p) {
		if (*p != '%') {
			put(t, *p++);
			continue;
		}
		p = spec_of(p + 1, &s);
		if (s.kind == '%')
			put(t, '%');
		else
			put_spec(t, &s, *arg++);
	}
	return t->len;
}

DEFINE_HELPER(trace_printk)
{
	struct region_trace *ring = (void *)(weld_region + weld_info.trace);
	const uint64_t arg[MAX_ARGS] = { r3, r4, r5 };
	const char *fmt = (const char *)r1;
	uint64_t slots, n, who;
	struct region_trace_record *r;
	struct text t = { .room = TRACE_TEXT, .strings = STRINGS };

	if (!format_ok(fmt, (uint32_t)r2))
		return (uint64_t)-EINVAL;
	slots = (weld_info.trace_size - sizeof(*ring)) / sizeof(*r);
	if (!slots) {
		t.room = 0;
		return format(&t, fmt, arg);
	}
	n = __atomic_fetch_add(&ring->next, 1, __ATOMIC_RELAXED);
	r = &ring->record[n % slots];
	__atomic_store_n(&r->seq, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	who = helper_get_current_pid_tgid(0, 0, 0, 0, 0, NULL);
	r->ns = clock_ns(MONOTONIC);
	r->tgid = (uint32_t)(who >> 32);
	r->tid = (uint32_t)who;
	r->cpu = (uint32_t)helper_get_smp_processor_id(0, 0, 0, 0, 0, NULL);
	t.to = r->text;
	format(&t, fmt, arg);
	r->len = t.len < TRACE_TEXT ? t.len : TRACE_TEXT;
	__atomic_store_n(&r->seq, n + 1, __ATOMIC_RELEASE);
	return t.len;
}
