/* SPDX-License-Identifier: MIT */
/* rules.h - for *.bpf.c beside this file: programs that a rule of the verifier
 * is about.  In front of each is what is said of it (rules.sh):
 *
 *     // accepted              as the kernel does
 *     // refused: TEXT         TEXT is in the message; the kernel refuses it,
 * too
 *     // guards: N             is given N guards; the kernel refuses it
 *     // ours: ...             the same, whatever the kernel says
 */
#ifndef BPFWELD_TESTS_RULES_H
#define BPFWELD_TESTS_RULES_H

#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define RULE SEC("uprobe") int
#define SESSION SEC("uprobe.session") int
/* One in instructions.  (With an argument that it does not name, the compiler
 * makes types that the kernel refuses.) */
#define NAKED SEC("uprobe") __attribute__((naked)) int

#define MAP(name, kind, k, v, n, ...)                                          \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, n);                                        \
		__type(key, k);                                                \
		__type(value, v);                                              \
		__VA_ARGS__                                                    \
	} name SEC(".maps")
#define RING(name, kind)                                                       \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, 4096);                                     \
	} name SEC(".maps")

/* Nothing is known of it. */
#define UNKNOWN(ctx) ((__u64)PT_REGS_PARM1(ctx))
/* It is there, and nobody knows what it is. */
#define USE(x) asm volatile("" : : "r"(x) : "memory")

/* Far enough from one jump to the next that a state is kept at one of these. */
#define SOME "r1 = 0; r1 = 0; r1 = 0; r1 = 0; r1 = 0; r1 = 0; r1 = 0;"
#define ONE_IS_KEPT                                                            \
	"call 7;" SOME "if r0 == 1 goto 4f; r1 = 0; 4:" SOME                    \
	"if r0 == 2 goto 5f; r1 = 0; 5:" SOME                                   \
	"if r0 == 3 goto 6f; r1 = 0; 6:"

struct pair {
	__u64 a, b;
};

char _license[] SEC("license") = "GPL";

#endif
