/* SPDX-License-Identifier: MIT */
/* argspec.c - read USDT argument strings.
 *
 *     arg       [[-]SIZE[f]@] operand
 *     operand   %reg  |  $sum  |  [%fs:] [sum] [( [%reg] [, %reg [, 1|2|4|8]] )]
 *     sum       [+|-] term { (+|-) term }
 *     term      number  |  symbol [@tpoff]
 */
#include <errno.h>
#include <stdlib.h>

#include "rewriter/usdt/argspec.h"
#include "runtime-stub/abi.h"

#define WORD(r) offsetof(struct hit, r) / 8

/* GPRs under all their names; h: bits 8 to 15.  Source: SDM volume 1, 3.4.1. */
// clang-format off
static const struct {
	const char *name[4]; /* 64, 32, 16, 8 bits */
	const char *h;
	uint8_t word;
} regs[] = {
	{ { "rax", "eax",  "ax",   "al"   }, "ah", WORD(ax) },
	{ { "rbx", "ebx",  "bx",   "bl"   }, "bh", WORD(bx) },
	{ { "rcx", "ecx",  "cx",   "cl"   }, "ch", WORD(cx) },
	{ { "rdx", "edx",  "dx",   "dl"   }, "dh", WORD(dx) },
	{ { "rsi", "esi",  "si",   "sil"  }, "",   WORD(si) },
	{ { "rdi", "edi",  "di",   "dil"  }, "",   WORD(di) },
	{ { "rbp", "ebp",  "bp",   "bpl"  }, "",   WORD(bp) },
	{ { "rsp", "esp",  "sp",   "spl"  }, "",   WORD(sp) },
	{ { "r8",  "r8d",  "r8w",  "r8b"  }, "",   WORD(r8) },
	{ { "r9",  "r9d",  "r9w",  "r9b"  }, "",   WORD(r9) },
	{ { "r10", "r10d", "r10w", "r10b" }, "",   WORD(r10) },
	{ { "r11", "r11d", "r11w", "r11b" }, "",   WORD(r11) },
	{ { "r12", "r12d", "r12w", "r12b" }, "",   WORD(r12) },
	{ { "r13", "r13d", "r13w", "r13b" }, "",   WORD(r13) },
	{ { "r14", "r14d", "r14w", "r14b" }, "",   WORD(r14) },
	{ { "r15", "r15d", "r15w", "r15b" }, "",   WORD(r15) },
	{ { "rip", "eip",  "",     ""     }, "",   WORD(ip) },
};
// clang-format on

/* A sum of numbers and at most one symbol. */
struct sum {
	int64_t n;
	const char *symbol; /* NULL: only numbers */
	bool tpoff;
};

struct parser {
	struct arena *a;
	const struct image *img;
	const char *p;
	struct operand *o;
};

static bool bad(struct parser *s, const char *why)
{
	if (!s->o->why)
		s->o->why = why;
	return false;
}

static bool skip(struct parser *s, char c)
{
	if (*s->p != c)
		return false;
	s->p++;
	return true;
}

static size_t word_length(const char *p)
{
	return strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789_.$");
}

static bool is_name(const char *name, const char *p, size_t n)
{
	return n && strlen(name) == n && !memcmp(name, p, n);
}

/* "%reg"; *high: only where that is wanted. */
static bool reg(struct parser *s, uint8_t *word, bool *high)
{
	size_t n, i, k;

	if (!skip(s, '%'))
		return bad(s, "not a register");
	n = word_length(s->p);
	for (i = 0; i < sizeof(regs) / sizeof(*regs); i++) {
		bool h = is_name(regs[i].h, s->p, n);

		for (k = 0; k < 4; k++)
			if (is_name(regs[i].name[k], s->p, n))
				break;
		if (k == 4 && !(h && high))
			continue;
		if (high)
			*high = h;
		*word = regs[i].word;
		s->p += n;
		return true;
	}
	return bad(s, arena_printf(s->a, "%%%.*s is not in pt_regs", (int)n,
				   s->p));
}

static bool number(struct parser *s, uint64_t *v)
{
	char *end;

	errno = 0;
	*v = strtoull(s->p, &end, 0);
	if (errno || end == s->p)
		return bad(s, "a number out of range");
	s->p = end;
	return true;
}

static bool term(struct parser *s, bool minus, struct sum *sum)
{
	size_t n = word_length(s->p);
	uint64_t v;

	if (!n)
		return bad(s, "not an operand");
	if (*s->p >= '0' && *s->p <= '9') {
		if (!number(s, &v))
			return false;
		sum->n = (int64_t)(minus ? (uint64_t)sum->n - v
					 : (uint64_t)sum->n + v);
		return true;
	}
	if (minus || sum->symbol)
		return bad(s, "more than one symbol");
	sum->symbol = arena_printf(s->a, "%.*s", (int)n, s->p);
	s->p += n;
	if (!skip(s, '@'))
		return true;
	n = word_length(s->p);
	sum->tpoff = is_name("tpoff", s->p, n) || is_name("TPOFF", s->p, n);
	s->p += n;
	return sum->tpoff || bad(s, "a symbol's address in a table");
}

static bool sum_read(struct parser *s, struct sum *sum)
{
	bool minus = skip(s, '-');

	if (!minus)
		skip(s, '+');
	do {
		if (!term(s, minus, sum))
			return false;
		minus = *s->p == '-';
	} while (skip(s, '+') || skip(s, '-'));
	return true;
}

/* --- symbols ----------------------------------------------------------- */

static const struct symbol *find(const struct symbol *v, size_t n,
				 const char *name)
{
	const struct symbol *best = NULL;

	/* A global one before the local ones; of several local ones nobody
	 * can tell which was meant. */
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].name, name))
			continue;
		if (v[i].bind != STB_LOCAL)
			return &v[i];
		if (best && best->addr != v[i].addr)
			return NULL;
		best = &v[i];
	}
	return best;
}

/* The thread pointer stands behind the program's own block (variant II of
 * "ELF Handling For Thread-Local Storage", 3.4.6); a library has none. */
static bool thread_offset(struct parser *s, const struct sum *sum, int64_t *out)
{
	const struct symbol *y =
		find(s->img->tls, s->img->ntls, sum->symbol);

	for (size_t i = 0; y && !s->img->dso && i < s->img->nseg; i++) {
		const struct segment *t = &s->img->seg[i];
		uint64_t end = t->vaddr + t->memsz, mask = t->align - 1;

		if (t->type != PT_TLS)
			continue;
		if (t->align)
			end += -end & mask;
		*out = (int64_t)(y->addr + t->vaddr - end +
				 (uint64_t)sum->n);
		return true;
	}
	return bad(s, arena_printf(s->a, "no thread-local symbol %s",
				   sum->symbol));
}

/* disp, from the sum. */
static bool resolve(struct parser *s, const struct sum *sum)
{
	const struct symbol *y;

	s->o->disp = sum->n;
	if (!sum->symbol)
		return true;
	if (sum->tpoff)
		return thread_offset(s, sum, &s->o->disp);
	y = find(s->img->sym, s->img->nsym, sum->symbol);
	if (!y)
		return bad(s, arena_printf(s->a, "no symbol %s", sum->symbol));
	s->o->in_image = s->img->type != ET_EXEC;
	s->o->disp = (int64_t)(y->addr + (uint64_t)sum->n);
	return true;
}

/* --- operands ---------------------------------------------------------- */

/* ( [%reg] [, %reg [, scale]] ) */
static bool brackets(struct parser *s)
{
	struct operand *o = s->o;
	uint64_t scale = 1;

	if (*s->p != ',' && !reg(s, &o->base, NULL))
		return false;
	if (skip(s, ',') && (!reg(s, &o->index, NULL) ||
			     (skip(s, ',') && !number(s, &scale))))
		return false;
	if (scale != 1 && scale != 2 && scale != 4 && scale != 8)
		return bad(s, "a scale that does not exist");
	o->shift = (uint8_t)__builtin_ctzll(scale);
	return skip(s, ')') || bad(s, "no closing bracket");
}

static bool memory(struct parser *s)
{
	struct operand *o = s->o;
	struct sum sum = { 0 };

	o->kind = OPERAND_MEMORY;
	if (*s->p != '(' && !sum_read(s, &sum))
		return false;
	if (!resolve(s, &sum) || (skip(s, '(') && !brackets(s)))
		return false;
	if (sum.tpoff != (o->fs && sum.symbol))
		return bad(s, "a thread-local symbol needs %fs");
	/* symbol(%rip) is how the symbol's address is written. */
	if (sum.symbol && o->base == WORD_IP && o->index == WORD_NONE)
		o->base = WORD_NONE;
	return true;
}

static bool constant(struct parser *s)
{
	struct sum sum = { 0 };

	s->o->kind = OPERAND_CONST;
	if (!sum_read(s, &sum) || !resolve(s, &sum))
		return false;
	if (s->o->in_image)
		s->o->kind = OPERAND_ADDRESS;
	return true;
}

static bool operand(struct parser *s)
{
	struct operand *o = s->o;

	if (skip(s, '$'))
		return constant(s);
	if (!strncmp(s->p, "%fs:", 4)) {
		s->p += 4;
		o->fs = true;
		return memory(s);
	}
	if (*s->p == '%') {
		o->kind = OPERAND_REG;
		return reg(s, &o->base, &o->high);
	}
	return memory(s);
}

/* [-]SIZE[f]@, if it is there. */
static bool size(struct parser *s)
{
	const char *digits = s->p + (*s->p == '-'), *end;
	struct operand *o = s->o;
	uint64_t v;

	o->size = 8;
	end = digits + strspn(digits, "0123456789");
	if (end == digits || (*end != '@' && (*end != 'f' || end[1] != '@')))
		return true;
	o->is_signed = skip(s, '-');
	if (!number(s, &v))
		return false;
	o->is_float = skip(s, 'f');
	skip(s, '@');
	o->size = (uint8_t)v;
	return v == 1 || v == 2 || v == 4 || v == 8 ||
	       bad(s, "a size that no register has");
}

static void arg(struct parser *s)
{
	struct operand *o = s->o;

	o->base = o->index = WORD_NONE;
	if (size(s) && operand(s) && *s->p)
		bad(s, "something follows the operand");
	if (o->high) /* whatever the size says, there are no more bits */
		o->size = 1;
	if (o->why)
		o->kind = OPERAND_NONE;
}

int argspec_parse(struct arena *a, const struct image *img, const char *text,
		  struct argspec *out)
{
	static const char space[] = " \t";

	*out = (struct argspec){ 0 };
	for (text += strspn(text, space); *text; text += strspn(text, space)) {
		size_t n = strcspn(text, space);
		struct operand *o = &out->arg[out->n];
		struct parser s = { .a = a, .img = img, .o = o };

		if (out->n == ARGS_MAX)
			return -1;
		s.p = o->text = arena_printf(a, "%.*s", (int)n, text);
		arg(&s);
		out->n++;
		text += n;
	}
	return 0;
}

int64_t operand_const(const struct operand *o)
{
	unsigned up = 64 - 8 * o->size;
	uint64_t v = (uint64_t)o->disp << up;

	return o->is_signed ? (int64_t)v >> up : (int64_t)(v >> up);
}
