/* SPDX-License-Identifier: MIT */
/* typed_int.h - what the two halves of typed.h share: typed.c prints,
 * typed_parse.c reads and compares.
 */
#ifndef BPFWELD_TYPED_INT_H
#define BPFWELD_TYPED_INT_H

#include <bpf/btf.h>

#include "runtime-stub/reader/typed.h"

/* The type behind typedef, const, volatile, restrict, tags and variables;
 * NULL when there is none (type 0, or a chain without end). */
const struct btf_type *type_strip(const struct btf *btf, uint32_t id);
/* Bytes of a type; 0 when it has none or is broken. */
uint64_t type_size(const struct btf *btf, uint32_t id, int depth);
/* Is it char[N]? */
bool type_is_text(const struct btf *btf, const struct btf_type *t);
/* `n` <= 64 bits from bit `off` on, extended by their sign. */
uint64_t bits_at(const uint8_t *p, size_t off, size_t n, bool sign);
/* Name of the enum's value that agrees with v in its low bits, or NULL. */
const char *enum_name(const struct btf *btf, const struct btf_type *t,
		      uint64_t v, size_t bits);

#endif
