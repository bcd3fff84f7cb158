/* SPDX-License-Identifier: MIT */
/* helper.h - helpers.def as the compiler and the verifier read it. */
#ifndef BPFWELD_CODE_HELPER_H
#define BPFWELD_CODE_HELPER_H

#include <stdbool.h>
#include <stdint.h>

/* Helpers' arguments, as helpers.def names them. */
enum helper_arg {
	ARG_NONE,
	ARG_MAP,
	ARG_KEY,
	ARG_VALUE,
	ARG_SCALAR,
	ARG_MEM_IN,
	ARG_MEM_OUT,
	ARG_VALUE_OUT,
	ARG_SIZE,
	ARG_CTX,
	ARG_RING,
	ARG_STRING,   /* in frozen data, with its NUL */
	ARG_LONG_OUT, /* to 8 bytes, aligned */
	ARG_CALLBACK,
	ARG_ANY,      /* a number or an address, which may be written to */
	ARG_MEM_KEPT, /* written to by others, from then on */
	ARG_DYNPTR,   /* a struct bpf_dynptr, which may change */
	ARG_DYNPTR_OUT,
	ARG_UNUSED, /* by our helper */
};
struct helper {
	const char *name;
	uint8_t arg[5];
};
const struct helper *helper_find(uint32_t id); /* NULL: unknown */
/* Does it want a struct run (abi.h), given a map of this type? */
enum {
	MAP_UNKNOWN = -1
};
/* Does it call a subprogram, which may want one? */
bool helper_calls_back(uint32_t id);
bool helper_runs(uint32_t id, int map_type);
/* Does it touch memory that may not be there? */
bool helper_faults(uint32_t id);
/* Does it leave signals in the struct run, which are sent at its end? */
bool helper_signals(uint32_t id);
/* The stub's function for it; false: unknown. */
bool helper_symbol(uint32_t id, int map_type, char symbol[64]);

#endif
