/* SPDX-License-Identifier: MIT */
/* quick.h - insn.c's shortcut; see quick.c. */
#ifndef BPFWELD_QUICK_H
#define BPFWELD_QUICK_H

#include "rewriter/site/insn.h"

/* Decode as insn_decode() does.  False says nothing: ask the library. */
bool insn_quick(const uint8_t *p, size_t len, uint64_t at, struct insn *out);
/* The same without the shortcut, to compare with. */
bool insn_decode_slow(const uint8_t *p, size_t len, uint64_t at,
		      struct insn *out);

#endif
