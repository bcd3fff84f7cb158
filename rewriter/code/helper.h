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
	ARG_ADDRESS, /* a number, or an address but of the stack */
	ARG_MEM_IN,
	ARG_MEM_OUT,
	ARG_VALUE_OUT,
	ARG_SIZE,
	ARG_CTX,
	ARG_RING,
	ARG_SIZE0,  /* may be 0 */
	ARG_NUMBER, /* no address */
	ARG_CONST,  /* a number that is known */
	ARG_VARARG, /* a number, or nothing at all */
	ARG_IN_OR_NULL,
	ARG_OUT_OR_NULL,
	ARG_STRING,   /* in frozen data, with its NUL */
	ARG_LONG_OUT, /* to 8 bytes, aligned */
	ARG_RECORD,   /* a ring's, given back */
	ARG_CALLBACK,
	ARG_FRAME_OR_NULL, /* written to by the callback */
	ARG_MEM_KEPT,      /* written to by others, from then on */
	ARG_DYNPTR,        /* a struct bpf_dynptr, which may change */
	ARG_DYNPTR_OUT,
	ARG_DYNPTR_END,
	ARG_ITER, /* a struct bpf_iter_num, which may change */
	ARG_ITER_OUT,
	ARG_ITER_END,
	ARG_CTX_UNUSED, /* these two: by our helper */
	ARG_BUFFER,
};
struct helper {
	const char *name;
	uint8_t arg[5];
};
const struct helper *helper_find(uint32_t id); /* NULL: unknown */
static inline bool arg_unused(uint8_t arg)
{
	return arg == ARG_CTX_UNUSED || arg == ARG_BUFFER;
}
/* Memory that such an argument leads to stays as it is. */
static inline bool arg_only_read(uint8_t arg)
{
	return arg == ARG_KEY || arg == ARG_VALUE || arg == ARG_MEM_IN ||
	       arg == ARG_IN_OR_NULL || arg_unused(arg);
}
/* How many bytes the argument before it has. */
static inline bool arg_is_size(uint8_t arg)
{
	return arg == ARG_SIZE || arg == ARG_SIZE0;
}
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
bool helper_symbol(uint32_t id, int map_type, bool put, char symbol[64]);

#endif
