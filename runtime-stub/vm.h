/* SPDX-License-Identifier: MIT */
/* vm.h - run a BPF program by interpreting it (--engine=vm, and the compiler's
 * oracle in tests).
 *
 * In:   instructions as bpf.h leaves them, checked (bpf_check); r1 and r2.  With
 *       guards in them, r1 is a struct hit with the probe's number.
 * Out:  r0.
 * Wants weld_info, weld_region and helper_NAME of abi.h, and about 650 bytes of
 * stack a frame, 8 frames at most.
 */
#ifndef BPFWELD_VM_H
#define BPFWELD_VM_H

#include <linux/bpf.h>

#include "runtime-stub/abi.h"

#pragma GCC visibility push(hidden)
uint64_t vm_run(const struct bpf_insn *insn, uint64_t r1, uint64_t r2);
uint64_t weld_vm(const struct bpf_insn *insn, struct hit *hit);
#pragma GCC visibility pop

#endif
