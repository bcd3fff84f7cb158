/* SPDX-License-Identifier: MIT */
/* typed_parse.c - from what a person writes to bytes, and the order of keys. */
#include <errno.h>
#include <stdlib.h>

#include "runtime-stub/reader/typed_int.h"

enum {
	NESTED = 8
}; /* structs of one member in each other */

/* An integer type's properties; also those of a size that has no BTF. */
struct number {
	bool is, sign;
};

static struct number number_of(const struct btf *btf, uint32_t type,
			       size_t size)
{
	const struct btf_type *t = type_strip(btf, type);
	struct number n = { .is = size == 1 || size == 2 || size == 4 ||
				  size == 8 };

	if (!t) {
		n.is = n.is && !type; /* typed, but not readable: bytes */
		return n;
	}
	if (btf_is_int(t))
		n.sign = btf_int_encoding(t) & BTF_INT_SIGNED;
	else if (btf_is_enum(t) || btf_is_enum64(t))
		n.sign = btf_kflag(t);
	else if (!btf_is_ptr(t))
		n.is = false;
	return n;
}

int typed_compare(const struct btf *btf, uint32_t type, const uint8_t *a,
		  const uint8_t *b, size_t size)
{
	struct number n = number_of(btf, type, size);
	uint64_t x, y, flip;

	if (!n.is || !type)
		return memcmp(a, b, size);
	flip = n.sign ? UINT64_C(1) << 63 : 0;
	x = bits_at(a, 0, 8 * size, n.sign) ^ flip;
	y = bits_at(b, 0, 8 * size, n.sign) ^ flip;
	return (x > y) - (x < y);
}

static int parse_hex(struct arena *a, size_t size, char *const *word, int nword,
		     const uint8_t **out, struct err *e)
{
	uint8_t *p = arena_alloc(a, (size_t)nword);

	/* What is no byte was not meant to be counted as one. */
	for (int i = 0; i < nword; i++) {
		char *end;
		unsigned long v = strtoul(word[i], &end, 16);

		if (end == word[i] || *end || v > 0xff || word[i][0] == '-')
			return misuse(e, "'%s' is not a byte in hex", word[i]);
		p[i] = (uint8_t)v;
	}
	if ((size_t)nword != size)
		return misuse(e, "%d byte%s given, %zu wanted", nword,
			      nword == 1 ? "" : "s", size);
	*out = p;
	return 0;
}

static int parse_text(struct arena *a, size_t size, const char *word,
		      const uint8_t **out, struct err *e)
{
	uint8_t *p = arena_alloc(a, size);
	size_t n = strlen(word);

	if (n > size)
		return misuse(e, "'%s' is longer than %zu bytes", word, size);
	memcpy(p, word, n);
	*out = p;
	return 0;
}

static bool enum_value(const struct btf *btf, const struct btf_type *t,
		       const char *word, uint64_t *out)
{
	for (int i = 0; i < btf_vlen(t); i++) {
		uint32_t off = btf_is_enum64(t) ? btf_enum64(t)[i].name_off
						: btf_enum(t)[i].name_off;
		const char *s = btf__name_by_offset(btf, off);

		if (!s || strcmp(s, word) != 0)
			continue;
		*out = btf_is_enum64(t) ? btf_enum64_value(&btf_enum64(t)[i])
					: (uint64_t)(int64_t)btf_enum(t)[i].val;
		return true;
	}
	return false;
}

/* Names: of an enum's values, true and false. */
static bool parse_name(const struct btf *btf, uint32_t type, const char *word,
		       uint64_t *out)
{
	const struct btf_type *t = type_strip(btf, type);

	if (t && (btf_is_enum(t) || btf_is_enum64(t)))
		return enum_value(btf, t, word, out);
	if (!t || !btf_is_int(t) || !(btf_int_encoding(t) & BTF_INT_BOOL))
		return false;
	*out = strcmp(word, "true") == 0;
	return *out || strcmp(word, "false") == 0;
}

static int parse_number(const char *word, size_t size, bool sign, uint64_t *out,
			struct err *e)
{
	bool minus = word[0] == '-';
	uint64_t v, top = UINT64_C(1) << (8 * size - 1);
	uint64_t max = sign ? top - !minus : minus ? 0 : top - 1 + top;
	char *end;

	errno = 0;
	v = strtoull(word + minus, &end, 0);
	if (word[minus] < '0' || word[minus] > '9' || *end)
		return misuse(e, "'%s' is not a number", word);
	if (errno || v > max)
		return misuse(e, "%s does not fit %zu %s byte%s", word, size,
			      sign ? "signed" : "unsigned",
			      size == 1 ? "" : "s");
	*out = minus ? 0 - v : v;
	return 0;
}

/* A struct that has but one member is written as that member. */
static uint32_t sole_member(const struct btf *btf, uint32_t type)
{
	const struct btf_type *t = type_strip(btf, type);

	for (int i = 0; i < NESTED && t && btf_is_struct(t) &&
			btf_vlen(t) == 1 && !btf_member_bitfield_size(t, 0);
	     i++) {
		type = btf_members(t)[0].type;
		t = type_strip(btf, type);
	}
	return type;
}

int typed_parse(struct arena *a, const struct btf *btf, uint32_t type,
		size_t size, char *const *word, int nword, const uint8_t **out,
		struct err *e)
{
	const struct btf_type *t;
	struct number n;
	uint64_t v;

	type = sole_member(btf, type);
	t = type_strip(btf, type);
	n = number_of(btf, type, size);
	if (nword > 1 && strcmp(word[0], "hex") == 0)
		return parse_hex(a, size, word + 1, nword - 1, out, e);
	if (nword != 1)
		return misuse(e, "one word, or 'hex' and %zu bytes, wanted",
			      size);
	if (t && type_is_text(btf, t))
		return parse_text(a, size, word[0], out, e);
	if (!n.is)
		return misuse(e,
			      "its type is no number and no string: give "
			      "'hex' and %zu bytes",
			      size);
	if (!parse_name(btf, type, word[0], &v) &&
	    parse_number(word[0], size, n.sign, &v, e))
		return -1;
	*out = arena_dup(a, &v, size);
	return 0;
}
