/* SPDX-License-Identifier: MIT */
/* abi_asm.h - the numbers of abi.h that assembly needs. */
#ifndef BPFWELD_ABI_ASM_H
#define BPFWELD_ABI_ASM_H

#define PROBE_STACKS 64      /* a power of two */
#define PROBE_STACK_SHIFT 14 /* 16 KiB each */
#define PROBE_STACK_SIZE (1 << PROBE_STACK_SHIFT)

#endif
