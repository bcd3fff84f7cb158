/* SPDX-License-Identifier: MIT */
/* loops - bpf_loop and bpf_for: how often, why not, with what, one inside the
 * other. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} sums SEC(".maps");

struct results {
	long none, some, stopped, flags, too_many, most, nested, chosen, deep;
	__u64 some_sum, stopped_at, nested_sum, pairs, chosen_sum, from_ctx,
		on_stack[4];
};
struct results out;

struct state {
	__u64 sum, stop_at;
};

static long add(__u32 i, struct state *s)
{
	s->sum += i + 1;
	return 0;
}

static long add_twice(__u32 i, struct state *s)
{
	s->sum += 2 * i;
	return 0;
}

static long stop(__u32 i, struct state *s)
{
	s->sum = i;
	return i >= s->stop_at;
}

static long nothing(__u32 i, void *unused)
{
	return 0;
}

static long inner(__u32 i, struct state *s)
{
	s->sum += i;
	return i == s->stop_at;
}

static long outer(__u32 i, struct state *s)
{
	s->stop_at = i;
	out.pairs += bpf_loop(6, inner, s, 0);
	return 0;
}

/* A callback that calls helpers and a subprogram of its own. */
static __attribute__((noinline)) __u64 mix(__u64 a, __u64 b)
{
	return (a ^ b) * 0x9e3779b97f4a7c15;
}

static long store(__u32 i, __u64 *seed)
{
	__u64 v = mix(i, *seed);
	__u32 key = i + (__u32)*seed * 8;

	return bpf_map_update_elem(&sums, &key, &v, BPF_ANY) != 0;
}

/* A stack address that holds ctx: the way to it. */
struct way {
	struct pt_regs *ctx;
};
static long read_ctx(__u32 i, struct way *w)
{
	out.from_ctx += PT_REGS_PARM1(w->ctx) + i;
	return 0;
}

/* What a loop writes to the stack of its caller, behind its back. */
static long into_array(__u32 i, __u64 *to)
{
	to[i & 3] += i;
	return 0;
}

SEC("uprobe/calls:site")
int loops(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM1(ctx), seed = n & 15, on_stack[4] = { 1, 2, 3, 4 };
	struct state s = {}, t = {}, u = {};
	struct way w = { ctx };
	int i;

	out.none += bpf_loop(0, add, &s, 0);
	out.some += bpf_loop(n, add, &s, 0);
	out.some_sum += s.sum;
	s.stop_at = n / 2;
	out.stopped += bpf_loop(n, stop, &s, 0);
	out.stopped_at += s.sum;
	out.flags = bpf_loop(n, add, &s, n + 1);
	/* Flags that are known to be 0 make the kernel inline the call, where
	 * this is 32 bits of -E2BIG. */
	out.too_many = bpf_loop((1 << 23) + 1 + n, add, &s, n & 64);
	out.nested += bpf_loop(5, outer, &t, 0);
	out.nested_sum += t.sum;
	out.chosen += bpf_loop(7, n & 1 ? (void *)add : (void *)add_twice, &u,
			       0);
	out.chosen_sum += u.sum;
	out.deep += bpf_loop(8, store, &seed, 0);
	bpf_loop(3, read_ctx, &w, 0);
	bpf_loop(n, into_array, on_stack, 0);
	for (i = 0; i < 4; i++)
		out.on_stack[i] += on_stack[i];
	return 0;
}

SEC("uprobe/calls:site")
int longest(struct pt_regs *ctx)
{
	if (PT_REGS_PARM1(ctx) == 3)
		out.most += bpf_loop(1 << 23, nothing, NULL, 0);
	return 0;
}

/* --- bpf_for(), as newer bpf_helpers.h have it ------------------------------ */

struct bpf_iter_num {
	__u64 opaque;
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)
	__weak __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __weak __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __weak __ksym;

#define FOR(i, start, end)                                                     	for (struct bpf_iter_num                                               		     it __attribute__((aligned(8),                             				       cleanup(bpf_iter_num_destroy))),        	     *unused __attribute__((unused)) =                                 		     (bpf_iter_num_new(&it, (start), (end)),                   		      (void)bpf_iter_num_destroy, (void *)0);                  	     ({                                                                		     int *_t = bpf_iter_num_next(&it);                         		     (_t && ((i) = *_t, (i) >= (start) && (i) < (end)));       	     });)
#define REPEAT(n)                                                              	for (struct bpf_iter_num                                               		     it __attribute__((aligned(8),                             				       cleanup(bpf_iter_num_destroy))),        	     *unused __attribute__((unused)) =                                 		     (bpf_iter_num_new(&it, 0, (n)),                           		      (void)bpf_iter_num_destroy, (void *)0);                  	     bpf_iter_num_next(&it);)

struct ranges {
	long sum, pairs, repeats, left_early, backwards, empty, negative;
	long ok, wrong, too_long, longest, at_ends, after_wrong, exists;
};
struct ranges ranges;

SEC("uprobe/calls:site")
int for_ranges(struct pt_regs *ctx)
{
	int n = PT_REGS_PARM1(ctx), i, k;

	FOR(i, 0, n)
		ranges.sum += i;
	FOR(i, 0, 5)
		FOR(k, i, 5)
			ranges.pairs += i * k;
	REPEAT(n)
		ranges.repeats++;
	FOR(i, 0, 100) {
		if (i == n)
			break;
		ranges.left_early++;
	}
	FOR(i, n, 0)
		ranges.backwards++;
	FOR(i, n, n)
		ranges.empty++;
	FOR(i, -n, 3)
		ranges.negative += i;
	ranges.exists = bpf_iter_num_next != NULL;
	return 0;
}

static __always_inline long how_many(struct bpf_iter_num *it, long *sum)
{
	long n = 0;
	int *at;

	while (n < 8 && (at = bpf_iter_num_next(it))) {
		n++;
		*sum += *at;
	}
	return n;
}

#define TRY(result, start, end)                                                	do {                                                                   		struct bpf_iter_num it;                                                                                                                       		ranges.result += bpf_iter_num_new(&it, start, end);            		ranges.after_wrong += how_many(&it, &ranges.sum);              		bpf_iter_num_destroy(&it);                                     	} while (0)

SEC("uprobe/calls:other")
int odd_ranges(struct pt_regs *ctx)
{
	int n = PT_REGS_PARM1(ctx);

	TRY(ok, n, n + 3);
	TRY(wrong, n, n - 1);
	TRY(too_long, n, n + (1 << 23) + 1);
	TRY(longest, n, n + (1 << 23));
	TRY(at_ends, -2147483647 - 1, 2147483647);
	TRY(at_ends, 2147483647 - 2, 2147483647);
	TRY(at_ends, -2147483647 - 1, -2147483647 + 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
