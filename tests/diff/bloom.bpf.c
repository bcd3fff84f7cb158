/* SPDX-License-Identifier: MIT */
/* bloom - filters of all sizes, so full that their wrong answers are many: which
 * these are says whether the bits are the kernel's. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum { STEPS = 512 };

struct answers {
	long add, bad_flags;
	__u64 yes[8]; /* bit n: value 64 * i + n is said to be there */
};

/* Every third value is added, all are asked for. */
#define FILTER(map, size, entries, hashes)                                     \
	struct value_##map {                                                   \
		__u8 byte[size];                                               \
	};                                                                     \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);                       \
		__uint(max_entries, entries);                                  \
		__uint(map_flags, BPF_F_ZERO_SEED);                            \
		__uint(map_extra, hashes);                                     \
		__type(value, struct value_##map);                             \
	} map SEC(".maps");                                                    \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(max_entries, STEPS);                                    \
		__type(key, __u32);                                            \
		__type(value, struct answers);                                 \
	} map##_out SEC(".maps");                                              \
	SEC("uprobe/maps:step")                                                \
	int on_##map(struct pt_regs *ctx)                                      \
	{                                                                      \
		__u32 i = PT_REGS_PARM1(ctx) % STEPS, n;                       \
		struct answers *a = bpf_map_lookup_elem(&map##_out, &i);       \
		struct value_##map v;                                          \
                                                                               \
		if (!a)                                                        \
			return 1;                                              \
		for (n = 0; n < size; n++)                                     \
			v.byte[n] = (i * 3 + n) * 151 >> (n & 3);              \
		a->add = bpf_map_push_elem(&map, &v, BPF_ANY);                 \
		a->bad_flags = bpf_map_push_elem(&map, &v, 1 + i % 3);         \
		for (n = 0; n < 64; n++) {                                     \
			v.byte[0] = n * 4;                                     \
			v.byte[size - 1] += n;                                 \
			if (!bpf_map_peek_elem(&map, &v))                      \
				a->yes[i % 8] |= 1ull << n;                    \
		}                                                              \
		return 0;                                                      \
	}
FILTER(one, 1, 20, 1)
FILTER(two, 2, 50, 2)
FILTER(three, 3, 400, 3)
FILTER(four, 4, 100, 0)
FILTER(five, 5, 300, 5)
FILTER(seven, 7, 1, 15)
FILTER(eight, 8, 13, 1)
FILTER(eleven, 11, 120, 4)
FILTER(twelve, 12, 200, 3)
FILTER(thirteen, 13, 500, 2)
FILTER(sixteen, 16, 64, 6)
FILTER(twenty_four, 24, 300, 0)
FILTER(twenty_five, 25, 150, 7)
FILTER(thirty_six, 36, 333, 2)

char LICENSE[] SEC("license") = "GPL";
