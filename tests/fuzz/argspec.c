/* SPDX-License-Identifier: MIT */
/* argspec.c - any text as a USDT argument string: no crash, and operands are
 * what the rest relies on. */
#include <assert.h>
#include <string.h>

#include "rewriter/usdt/argspec.h"

static struct symbol symbols[] = { { .name = "x", .addr = 0x10 } };
static struct segment tls[] = { { .type = PT_TLS, .memsz = 8, .align = 8 } };
static const struct image image = {
	.type = ET_DYN, .sym = symbols, .nsym = 1, .tls = symbols, .ntls = 1,
	.seg = tls, .nseg = 1,
};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena a = { 0 };
	char *text = arena_alloc(&a, n + 1);
	struct argspec s;

	memcpy(text, p, n);
	argspec_parse(&a, &image, text, &s);
	assert(s.n <= ARGS_MAX);
	for (uint32_t i = 0; i < s.n; i++) {
		const struct operand *o = &s.arg[i];

		assert(!o->why == (o->kind != OPERAND_NONE) && o->text);
		if (o->why)
			continue;
		assert(o->size == 1 || o->size == 2 || o->size == 4 ||
		       o->size == 8);
		assert(o->shift < 4);
		assert(o->base == WORD_NONE || o->base < 21);
		assert(o->index == WORD_NONE || o->index < 21);
		assert(o->kind != OPERAND_REG || o->base != WORD_NONE);
		operand_const(o);
	}
	arena_free(&a);
	return 0;
}
