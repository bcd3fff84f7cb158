/* SPDX-License-Identifier: MIT */
/* dynptr.h - what a program's struct bpf_dynptr holds; programs cannot look
 * inside, so that this is the stub's own affair.
 */
#ifndef BPFWELD_DYNPTR_H
#define BPFWELD_DYNPTR_H

#include <stdbool.h>
#include <stdint.h>

struct dynptr {
	uint64_t data; /* where the memory begins; 0: leads nowhere */
	uint32_t size;
	uint32_t offset; /* from there, to the first byte of `size` */
};
_Static_assert(sizeof(struct dynptr) == 16, "struct bpf_dynptr");

enum {
	DYNPTR_MAX = (1 << 24) - 1
}; /* DYNPTR_MAX_SIZE */

/* bpf_dynptr_check_off_len() */
static inline bool dynptr_has(const struct dynptr *p, uint32_t offset,
			      uint32_t len)
{
	return len <= p->size && offset <= p->size - len;
}

#endif
