/* SPDX-License-Identifier: MIT */
/* abi_asm.h - the numbers of abi.h that assembly needs. */
#ifndef BPFWELD_ABI_ASM_H
#define BPFWELD_ABI_ASM_H

#define PROBE_STACKS 64      /* a power of two */
#define PROBE_STACK_SHIFT 16 /* 64 KiB each: tail.c may use 32 */
#define PROBE_STACK_SIZE (1 << PROBE_STACK_SHIFT)

#endif
