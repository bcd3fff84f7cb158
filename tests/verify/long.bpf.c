/* SPDX-License-Identifier: MIT */
/* long - every one of these ends.  When a run may come to more than 2^32
 * instructions, each turn of its loops is counted by a guard. */
#include "rules.h"

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

#define SUB static __attribute__((noinline, used))
#define MOST (8 << 20) /* BPF_MAX_LOOPS */

__u64 sum;
MAP(large, ARRAY, __u32, __u64, 1 << 20);
MAP(small, ARRAY, __u32, __u64, 100);
RING(samples, USER_RINGBUF);
MAP(wide, ARRAY, __u32, char[1 << 20], 2);

SUB int add(__u32 i, void *ctx)
{
	sum += i;
	return 0;
}

SUB int add_value(void *map, __u32 *key, __u64 *value, void *ctx)
{
	sum += *value;
	return 0;
}

SUB int one_sample(struct bpf_dynptr *d, void *ctx)
{
	sum++;
	return 0;
}

/* --- short enough ------------------------------------------------------ */

// accepted
RULE one_loop(struct pt_regs *ctx)
{
	bpf_loop(MOST, add, 0, 0);
	return 0;
}

SUB int read(__u32 i, __u64 *at)
{
	__u64 n = 0;

	bpf_probe_read_user(&n, sizeof(n), (void *)*at + i);
	sum += n;
	return 0;
}

// accepted
RULE one_loop_that_reads(struct pt_regs *ctx)
{
	__u64 at = UNKNOWN(ctx);

	bpf_loop(MOST, read, &at, 0);
	return 0;
}

// accepted
RULE one_loop_after_another(struct pt_regs *ctx)
{
	bpf_loop(UNKNOWN(ctx), add, 0, 0);
	bpf_loop(UNKNOWN(ctx), add, 0, 0);
	bpf_loop(UNKNOWN(ctx), add, 0, 0);
	return 0;
}

SUB int add_some(__u32 i, void *ctx)
{
	bpf_loop(1000, add, 0, 0);
	return 0;
}

// accepted
RULE loop_in_loop_by_number(struct pt_regs *ctx)
{
	bpf_loop(1000, add_some, 0, 0);
	return 0;
}

/* A long one that is over does not count for a short one. */
// accepted
RULE long_one_before_short_ones(struct pt_regs *ctx)
{
	bpf_loop(MOST, add, 0, 0);
	bpf_loop(100, add_some, 0, 0);
	return 0;
}

// accepted
RULE iterators_by_number(struct pt_regs *ctx)
{
	struct bpf_iter_num it, in;

	bpf_iter_num_new(&it, 0, 1000);
	while (bpf_iter_num_next(&it)) {
		bpf_iter_num_new(&in, 0, 1000);
		while (bpf_iter_num_next(&in))
			sum++;
		bpf_iter_num_destroy(&in);
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

// accepted
RULE each_element(struct pt_regs *ctx)
{
	bpf_for_each_map_elem(&large, add_value, 0, 0);
	return 0;
}

/* (The kernel walks through it.) */
// ours: accepted
RULE each_element_often(struct pt_regs *ctx)
{
	for (int i = 0; i < 100; i++) {
		USE(i);
		bpf_for_each_map_elem(&small, add_value, 0, 0);
	}
	return 0;
}

SUB int drains_it_again(struct bpf_dynptr *d, void *ctx)
{
	bpf_user_ringbuf_drain(&samples, one_sample, 0, 0);
	return 0;
}

/* The one inside finds it busy. */
// accepted
RULE drain_in_drain(struct pt_regs *ctx)
{
	bpf_user_ringbuf_drain(&samples, drains_it_again, 0, 0);
	return 0;
}

/* (Only its own guard.) */
// guards: 1
RULE no_end_to_be_seen(struct pt_regs *ctx)
{
	while (bpf_get_prandom_u32() != 7)
		sum++;
	return 0;
}

/* --- too long ---------------------------------------------------------- */

SUB int add_often(__u32 i, void *ctx)
{
	bpf_loop(MOST, add, 0, 0);
	return 0;
}

/* Each callback. */
// ours: guards: 2
RULE loop_in_loop(struct pt_regs *ctx)
{
	bpf_loop(MOST, add_often, 0, 0);
	return 0;
}

SUB int add_unknown(__u32 i, __u64 *n)
{
	bpf_loop(*n, add, 0, 0);
	return 0;
}

/* How often is not known. */
// ours: guards: 2
RULE loop_in_loop_of_any_length(struct pt_regs *ctx)
{
	__u64 n = UNKNOWN(ctx);

	bpf_loop(n, add_unknown, &n, 0);
	return 0;
}

// ours: guards: 2
RULE iterator_in_iterator(struct pt_regs *ctx)
{
	struct bpf_iter_num it, in;

	bpf_iter_num_new(&it, 0, MOST);
	while (bpf_iter_num_next(&it)) {
		bpf_iter_num_new(&in, 0, UNKNOWN(ctx));
		while (bpf_iter_num_next(&in))
			sum++;
		bpf_iter_num_destroy(&in);
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

/* What is known of one iterator is not taken for the other: whichever way is
 * looked at first. */
#define EITHER(n, m)                                                           \
	struct bpf_iter_num it;                                                \
	if (UNKNOWN(ctx) == 7)                                                 \
		bpf_iter_num_new(&it, 0, n);                                   \
	else                                                                   \
		bpf_iter_num_new(&it, 0, m);                                   \
	while (bpf_iter_num_next(&it))                                         \
		bpf_loop(1 << 15, add, 0, 0);                                  \
	bpf_iter_num_destroy(&it);                                             \
	return 0

// ours: guards: 2
RULE short_or_long(struct pt_regs *ctx)
{
	EITHER(10, MOST);
}

// ours: guards: 2
RULE long_or_short(struct pt_regs *ctx)
{
	EITHER(MOST, 10);
}

// accepted
RULE short_or_shorter(struct pt_regs *ctx)
{
	EITHER(100, 10);
}

/* One for the loop, one for the callback. */
// ours: guards: 2
RULE no_end_and_loop_in_it(struct pt_regs *ctx)
{
	while (bpf_get_prandom_u32() != 7)
		bpf_loop(MOST, add, 0, 0);
	return 0;
}

/* The map is gone through even if there is nothing in it: a guard before it. */
// ours: guards: 2
RULE each_element_too_often(struct pt_regs *ctx)
{
	for (int i = 0; i < 1000; i++) {
		USE(i);
		bpf_for_each_map_elem(&large, add_value, 0, 0);
	}
	return 0;
}

SUB int add_100000(__u32 i, void *ctx)
{
	for (int k = 0; k < 100000; k++) {
		USE(k);
		sum++;
	}
	return 0;
}

// ours: guards: 1
RULE long_callback(struct pt_regs *ctx)
{
	bpf_loop(MOST, add_100000, 0, 0);
	return 0;
}

SUB int sample(struct bpf_dynptr *d, void *ctx)
{
	bpf_loop(MOST, add, 0, 0);
	return 0;
}

// ours: guards: 2
RULE loop_in_sample(struct pt_regs *ctx)
{
	bpf_user_ringbuf_drain(&samples, sample, 0, 0);
	return 0;
}

SUB int copy(__u32 i, void *ctx)
{
	__u32 key = 0, other = 1;
	char *from = bpf_map_lookup_elem(&wide, &key);

	if (from)
		bpf_map_update_elem(&wide, &other, from, 0);
	return 0;
}

/* Bytes that are copied count. */
// ours: guards: 1
RULE copies(struct pt_regs *ctx)
{
	bpf_loop(MOST, copy, 0, 0);
	return 0;
}

/* Helpers that take long, in a loop that is short with others. */
struct wide_key {
	char c[4096];
};
struct prefix {
	__u32 bits;
	__u8 data[16];
};
MAP(by_wide_key, HASH, struct wide_key, struct wide_key, 2);
MAP(prefixes, LPM_TRIE, struct prefix, __u64, 16,
    __uint(map_flags, BPF_F_NO_PREALLOC););
struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 16);
	__type(value, char[256]);
} bloom SEC(".maps");
MAP(chains, STACK_TRACE, __u32, __u64[127], 16);
MAP(text, ARRAY, __u32, struct wide_key, 1);

#define SLOW(name, call)                                                       \
	SUB int slow_##name(__u32 i, struct pt_regs **of)                      \
	{                                                                      \
		struct pt_regs *ctx = *of;                                     \
		__u32 key = 0;                                                 \
		struct wide_key *at = bpf_map_lookup_elem(&text, &key);        \
		struct prefix prefix = { 128 };                                \
		long n = 0;                                                    \
                                                                               \
		USE(ctx);                                                      \
		USE(&prefix);                                                  \
		if (at)                                                        \
			sum += (long)(call) + n;                               \
		return 0;                                                      \
	}
#define TURNS(name)                                                            \
	bpf_loop(1 << 20, slow_##name, &ctx, 0);                               \
	return 0

SLOW(no_helper, 1)
// accepted
RULE no_helper(struct pt_regs *ctx)
{
	TURNS(no_helper);
}
SLOW(long_key, !bpf_map_lookup_elem(&by_wide_key, at))
// ours: guards: 1
RULE long_key(struct pt_regs *ctx)
{
	TURNS(long_key);
}
SLOW(many_prefixes, !bpf_map_lookup_elem(&prefixes, &prefix))
// ours: guards: 1
RULE many_prefixes(struct pt_regs *ctx)
{
	TURNS(many_prefixes);
}
SLOW(many_hashes, bpf_map_peek_elem(&bloom, at))
// ours: guards: 1
RULE many_hashes(struct pt_regs *ctx)
{
	TURNS(many_hashes);
}
SLOW(stack, bpf_get_stack(ctx, at, sizeof(*at), BPF_F_USER_STACK))
// ours: guards: 1
RULE stack(struct pt_regs *ctx)
{
	TURNS(stack);
}
SLOW(stack_id, bpf_get_stackid(ctx, &chains, BPF_F_USER_STACK))
// ours: guards: 1
RULE stack_id(struct pt_regs *ctx)
{
	TURNS(stack_id);
}
SLOW(bad_strings, bpf_snprintf(at->c, sizeof(at->c), "%s%s", (__u64[]){ 1, 2 }, 16))
// ours: guards: 1
RULE bad_strings(struct pt_regs *ctx)
{
	TURNS(bad_strings);
}
/* (How much room there is for text counts.) */
SLOW(wide_text, bpf_snprintf(at->c, sizeof(at->c), "x", 0, 0))
// ours: guards: 1
RULE wide_text(struct pt_regs *ctx)
{
	TURNS(wide_text);
}
SLOW(long_format, bpf_trace_printk(at->c, sizeof(at->c)))
// ours: guards: 1
RULE long_format(struct pt_regs *ctx)
{
	TURNS(long_format);
}
/* (Numbers are no addresses.) */
SLOW(numbers_printed, bpf_printk("%d %u %lx", i, i, i))
// accepted
RULE numbers_printed(struct pt_regs *ctx)
{
	TURNS(numbers_printed);
}
SLOW(strings_printed, bpf_printk("%d %s", i, (void *)16))
// ours: guards: 1
RULE strings_printed(struct pt_regs *ctx)
{
	TURNS(strings_printed);
}
SLOW(any_printed, bpf_trace_printk(at->c, 16, i, i, i))
// ours: guards: 1
RULE any_printed(struct pt_regs *ctx)
{
	TURNS(any_printed);
}
SLOW(number_in_text, bpf_strtol(at->c, sizeof(at->c), 10, &n))
// ours: guards: 1
RULE number_in_text(struct pt_regs *ctx)
{
	TURNS(number_in_text);
}

/* An update may bring a new element, whose values are zeroed for all CPUs. */
MAP(percpu, PERCPU_HASH, __u32, char[1024], 2);
SLOW(all_cpus, bpf_map_update_elem(&percpu, &key, at, 0))
// ours: guards: 1
RULE all_cpus(struct pt_regs *ctx)
{
	TURNS(all_cpus);
}

SLOW(signals, bpf_send_signal(10))
// ours: guards: 1
RULE signals(struct pt_regs *ctx)
{
	bpf_loop(MOST, slow_signals, &ctx, 0);
	bpf_loop(MOST, slow_signals, &ctx, 0);
	return 0;
}

/* How much a dynptr's helpers move is told by numbers that are no memory's
 * size. */
extern int bpf_dynptr_memset(struct bpf_dynptr *p, __u64 off, __u64 size,
			     __u8 val) __ksym __weak;
extern int bpf_dynptr_copy(struct bpf_dynptr *p, __u64 off,
			   struct bpf_dynptr *from, __u64 from_off,
			   __u64 size) __ksym __weak;
char much[1 << 16];

#define DYNPTR_TURNS(turn)                                                     \
	struct bpf_dynptr d;                                                   \
	bpf_dynptr_from_mem(much, sizeof(much), 0, &d);                        \
	bpf_loop(1 << 20, turn, &d, 0);                                        \
	return 0

SUB int sets(__u32 i, struct bpf_dynptr *d)
{
	bpf_dynptr_memset(d, 0, sizeof(much), i);
	return 0;
}

// ours: guards: 1
RULE sets_bytes(struct pt_regs *ctx)
{
	DYNPTR_TURNS(sets);
}

SUB int sets_some(__u32 i, struct bpf_dynptr *d)
{
	bpf_dynptr_memset(d, 0, 64, i);
	return 0;
}

// accepted
RULE sets_some_bytes(struct pt_regs *ctx)
{
	DYNPTR_TURNS(sets_some);
}

SUB int moves(__u32 i, struct bpf_dynptr *d)
{
	bpf_dynptr_copy(d, i & 1, d, 0, sizeof(much) - 1);
	return 0;
}

// ours: guards: 1
RULE copies_dynptr(struct pt_regs *ctx)
{
	DYNPTR_TURNS(moves);
}

/* (Each byte by itself, if source and destination overlap.) */
SUB int writes(__u32 i, struct bpf_dynptr *d)
{
	bpf_dynptr_write(d, 1, much, 4096, 0);
	return 0;
}

// ours: guards: 1
RULE writes_dynptr(struct pt_regs *ctx)
{
	DYNPTR_TURNS(writes);
}

/* A loop that the verifier walks through has no guard; calls that take long have
 * one, if that is too much. */
char huge[1 << 24];

// ours: guards: 1
RULE walked_loop(struct pt_regs *ctx)
{
	for (int i = 0; i < 50000; i++) {
		USE(i);
		bpf_probe_read_user(huge, sizeof(huge), (void *)UNKNOWN(ctx));
	}
	return 0;
}

// accepted
RULE short_walked_loop(struct pt_regs *ctx)
{
	for (int i = 0; i < 1000; i++) {
		USE(i);
		bpf_probe_read_user(huge, sizeof(huge), (void *)UNKNOWN(ctx));
	}
	return 0;
}

SUB int reads_often(__u32 i, struct pt_regs **ctx)
{
	for (int k = 0; k < 5000; k++) {
		USE(k);
		bpf_probe_read_user(huge, sizeof(huge), (void *)(long)i);
	}
	return 0;
}

/* A turn of its own, too long by itself. */
// ours: guards: 2
RULE walked_loop_in_loop(struct pt_regs *ctx)
{
	bpf_loop(MOST, reads_often, &ctx, 0);
	return 0;
}

/* What is read by number may be a task's, in the kernel's half. */
SLOW(task, bpf_probe_read_kernel(at, 8, (void *)bpf_get_current_task() + 16384))
// ours: guards: 1
RULE task(struct pt_regs *ctx)
{
	TURNS(task);
}

/* On the path that is seen first, it is none. */
#define ADDRESS "r6 = *(u64 *)(r1 + 112); r7 = *(u64 *)(r1 + 104);"             \
		"if r7 == 9 goto 1f; r6 = 0x1000; 1:" SOME SOME                \
		"if r7 == 8 goto 2f; r0 = 0; 2:" SOME                          \
		"if r7 == 7 goto 3f; r0 = 0; 3:" SOME
#define FLAGS "r6 = 0x900; r7 = *(u64 *)(r1 + 104); r8 = r1;"                   \
	      "if r7 == 9 goto 1f; r6 = 0x100; 1:" SOME SOME                   \
	      "if r7 == 8 goto 2f; r0 = 0; 2:" SOME                            \
	      "if r7 == 7 goto 3f; r0 = 0; 3:" SOME
#define IN_TURNS(turns, what)                                                  \
	"r1 = r10; r1 += -8; r2 = 0; r3 = " turns "; call %[new];"             \
	"4: r1 = r10; r1 += -8; call %[next]; if r0 == 0 goto 5f;" what        \
	"goto 4b; 5: r1 = r10; r1 += -8; call %[destroy]; r0 = 0; exit;"
#define ITERATOR                                                               \
	:                                                                      \
	: [new] "i"(bpf_iter_num_new), [next] "i"(bpf_iter_num_next),          \
	  [destroy] "i"(bpf_iter_num_destroy)
// ours: guards: 1
NAKED other_address(void)
{
	asm volatile(ADDRESS IN_TURNS("8388608",
		     "r1 = r10; r1 += -16; r2 = 8; r3 = r6; call 113;") ITERATOR);
}
// ours: guards: 1
NAKED other_flags(void)
{
	asm volatile(FLAGS IN_TURNS("120000",
		     "r1 = r8; r2 = r10; r2 += -40; r3 = 32; r4 = r6; call 67;")
		     ITERATOR);
}

RING(ring, RINGBUF);

// ours: refused: instructions, and while a ring record is held no guard
RULE walked_loop_with_a_record(struct pt_regs *ctx)
{
	__u64 *r = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!r)
		return 0;
	for (int i = 0; i < 50000; i++) {
		USE(i);
		bpf_probe_read_user(huge, sizeof(huge), (void *)UNKNOWN(ctx));
	}
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/* Where turns cannot be counted, they are part of those around. */
SUB int writes_record(__u32 i, void *ctx)
{
	char *r = bpf_ringbuf_reserve(&ring, 64, 0);
	struct bpf_iter_num it;
	int *k;

	if (!r)
		return 0;
	bpf_iter_num_new(&it, 0, 64);
	while ((k = bpf_iter_num_next(&it)))
		r[*k & 63] = i;
	bpf_iter_num_destroy(&it);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// ours: guards: 1
RULE record_in_loop(struct pt_regs *ctx)
{
	bpf_loop(MOST, writes_record, 0, 0);
	return 0;
}

// ours: refused: instructions, and while a ring record is held no guard
RULE with_a_record(struct pt_regs *ctx)
{
	__u64 *r = bpf_ringbuf_reserve(&ring, 8, 0);

	if (!r)
		return 0;
	bpf_loop(MOST, add_often, 0, 0);
	*r = sum;
	bpf_ringbuf_submit(r, 0);
	return 0;
}
