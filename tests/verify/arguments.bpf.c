/* SPDX-License-Identifier: MIT */
/* arguments - what helpers are given. */
#include "rules.h"

#define FLAGS(f) __uint(map_flags, f);
MAP(array, ARRAY, __u32, struct pair, 4);
MAP(hash, HASH, __u64, struct pair, 4);
MAP(percpu, PERCPU_ARRAY, __u32, struct pair, 4);
MAP(trie, LPM_TRIE, struct pair, __u64, 4, FLAGS(BPF_F_NO_PREALLOC));
MAP(readonly, ARRAY, __u32, __u64, 4, FLAGS(BPF_F_RDONLY_PROG));
MAP(writeonly, ARRAY, __u32, __u64, 4, FLAGS(BPF_F_WRONLY_PROG));
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__type(value, __u64);
} queue SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 4);
	__type(value, __u64);
} bloom SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 8 * 20);
} stacks SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");
RING(ring, RINGBUF);
RING(user, USER_RINGBUF);

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} inner SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps");

char text[16];
struct {
	int n[5];
} half SEC(".data.half");
const char format[] = "%d";
const __u64 frozen[2] = { 1, 2 };
const char plain[] = "%%";
const char wrong_format[] = "%y";
const char open_end[2] = { '%', 'd' };
char writable[] = "%d";

static __always_inline struct pair *at(void *map, __u64 i)
{
	return bpf_map_lookup_elem(map, &i);
}

/* --- maps and helpers */

// accepted
RULE maps_that_fit(struct pt_regs *ctx)
{
	__u64 v = 0;

	bpf_map_push_elem(&queue, &v, 0);
	bpf_map_pop_elem(&queue, &v);
	bpf_map_peek_elem(&bloom, &v);
	bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &v, sizeof(v));
	return bpf_ringbuf_output(&ring, &v, sizeof(v), 0);
}

// refused: cannot pass map_type 1 into func bpf_map_push_elem#87
RULE push_on_hash(void *ctx)
{
	__u64 v = 0;

	return bpf_map_push_elem(&hash, &v, 0);
}

// refused: cannot pass map_type 27 into func bpf_map_lookup_elem#1
RULE lookup_in_ring(void *ctx)
{
	return !at(&ring, 0);
}

// refused: cannot pass map_type 2 into func bpf_ringbuf_output#130
RULE ring_output_to_array(void *ctx)
{
	return bpf_ringbuf_output(&array, text, 8, 0);
}

// refused: cannot pass map_type 27 into func bpf_perf_event_output#25
RULE perf_output_to_ring(void *ctx)
{
	return bpf_perf_event_output(ctx, &ring, 0, text, 8);
}

// refused: cannot pass map_type 2 into func bpf_tail_call#12
RULE tail_call_by_array(void *ctx)
{
	bpf_tail_call(ctx, &array, 0);
	return 0;
}

// refused: cannot pass map_type 2 into func bpf_get_stackid#27
RULE stackid_in_array(void *ctx)
{
	return bpf_get_stackid(ctx, &array, 0);
}

// refused: cannot pass map_type 2 into func bpf_map_lookup_percpu_elem#195
RULE percpu_lookup_in_array(void *ctx)
{
	__u32 k = 0;

	return !bpf_map_lookup_percpu_elem(&array, &k, 0);
}

// refused: cannot pass map_type 7 into func bpf_map_lookup_elem#1
RULE lookup_in_stack_traces(void *ctx)
{
	__u32 k = 0;

	return !bpf_map_lookup_elem(&stacks, &k);
}

// refused: cannot pass map_type 13 into func bpf_map_update_elem#2
RULE update_of_maps(void *ctx)
{
	__u32 k = 0;

	return bpf_map_update_elem(&outer, &k, &k, 0);
}

static long nothing(void *map, void *key, void *value, void *ctx)
{
	return 0;
}

// refused: callback function not allowed for map
RULE each_of_trie(void *ctx)
{
	return bpf_for_each_map_elem(&trie, nothing, 0, 0);
}

// refused: write into map forbidden
RULE update_of_read_only(void *ctx)
{
	__u32 k = 0;
	__u64 v = 0;

	return bpf_map_update_elem(&readonly, &k, &v, 0);
}

// refused: write into map forbidden
RULE store_to_read_only(void *ctx)
{
	__u32 k = 0;
	__u64 *v = bpf_map_lookup_elem(&readonly, &k);

	if (v)
		*v = 1;
	return 0;
}

// refused: read from map forbidden
RULE load_from_write_only(void *ctx)
{
	__u32 k = 0;
	__u64 *v = bpf_map_lookup_elem(&writeonly, &k);

	return v ? *v : 0;
}

// refused: R1 type=ctx expected=map_ptr
RULE map_that_is_ctx(void *ctx)
{
	return !at(ctx, 0);
}

// accepted
RULE map_of_map(void *ctx)
{
	__u32 k = 0;
	void *map = bpf_map_lookup_elem(&outer, &k);
	__u64 *v = map ? bpf_map_lookup_elem(map, &k) : NULL;

	return v ? *v : 0;
}

// refused: R1 type=map_ptr_or_null expected=map_ptr
RULE map_of_map_unchecked(void *ctx)
{
	__u32 k = 0;
	void *map = bpf_map_lookup_elem(&outer, &k);

	return !bpf_map_lookup_elem(map, &k);
}

/* --- keys and values */

// refused: R2 type=scalar expected=fp
RULE key_null(void *ctx)
{
	return !bpf_map_lookup_elem(&hash, NULL);
}

// refused: R2 type=ctx expected=fp
RULE key_in_ctx(void *ctx)
{
	return !bpf_map_lookup_elem(&hash, ctx);
}

// refused: R2 type=map_value_or_null expected=fp
RULE key_unchecked(void *ctx)
{
	return !bpf_map_lookup_elem(&hash, at(&hash, 1));
}

// refused: bpf_map_lookup_elem reads 8 bytes at -4, the stack is from -512 to 0
RULE key_too_short(void *ctx)
{
	int k = 0;

	USE(&k);
	return !bpf_map_lookup_elem(&hash, &k);
}

// refused: bpf_map_lookup_elem reads 8 bytes at 12, 'hash' has 16
RULE key_at_the_end_of_a_value(void *ctx)
{
	struct pair *p = at(&hash, 1);

	return p && !bpf_map_lookup_elem(&hash, (char *)p + 12);
}

// accepted
RULE value_of_another_map(void *ctx)
{
	struct pair *p = at(&hash, 1);
	__u32 k = 0;

	return p ? bpf_map_update_elem(&array, &k, p, 0) : 0;
}

// refused: bpf_map_update_elem reads 16 bytes at -8, the stack is from -512 to 0
RULE value_too_short(void *ctx)
{
	__u64 v = 0;
	__u32 k = 0;

	return bpf_map_update_elem(&array, &k, &v, 0);
}

// refused: write into map forbidden
RULE value_into_constant(void *ctx)
{
	return bpf_map_pop_elem(&queue, (void *)frozen);
}

// refused: R2 !read_ok
NAKED key_unset(void)
{
	asm volatile("r1 = %[hash] ll;"
		     "call 1;"
		     "r0 = 0;"
		     "exit;"
		     :
		     : [hash] "i"(&hash));
}

// refused: R1 !read_ok
NAKED argument_clobbered(void)
{
	asm volatile("call 5;"
		     "call 174;"
		     "r0 = 0;"
		     "exit;");
}

/* --- elements that are there */

// accepted
RULE zero_key_in_array(void *ctx)
{
	__u32 k = 0;
	struct pair *p = bpf_map_lookup_elem(&array, &k);

	return p->a;
}

/* (The kernel knows numbers other than 0 in the lower half of a word.) */
// accepted
RULE last_key_in_array(void *ctx)
{
	__u32 k __attribute__((aligned(8))) = 3;
	struct pair *p = bpf_map_lookup_elem(&array, &k);

	return p->a;
}

// refused: R0 invalid mem access 'map_value_or_null'
RULE key_behind_array(void *ctx)
{
	__u32 k __attribute__((aligned(8))) = 4;
	struct pair *p = bpf_map_lookup_elem(&array, &k);

	return p->a;
}

// refused: R0 invalid mem access 'map_value_or_null'
RULE unknown_key_in_array(struct pt_regs *ctx)
{
	__u32 k = UNKNOWN(ctx);
	struct pair *p = bpf_map_lookup_elem(&array, &k);

	return p->a;
}

// refused: R0 invalid mem access 'map_value_or_null'
RULE constant_key_in_hash(void *ctx)
{
	return at(&hash, 1)->a;
}

/* When all sets of values are in use, there is none. */
// ours: refused: R0 invalid mem access 'map_value_or_null'
RULE constant_key_of_a_cpu(void *ctx)
{
	__u32 k = 0;
	struct pair *p = bpf_map_lookup_elem(&percpu, &k);

	return p->a;
}

/* --- sizes */

// accepted
RULE size_masked(struct pt_regs *ctx)
{
	__u64 n = UNKNOWN(ctx);
	char b[16];

	asm volatile("%0 &= 15" : "+r"(n));
	return bpf_probe_read_user(b, n, NULL);
}

// guards: 1
RULE size_unknown(struct pt_regs *ctx)
{
	return bpf_probe_read_user(text, UNKNOWN(ctx), NULL);
}

// guards: 1
RULE size_unknown_on_stack(struct pt_regs *ctx)
{
	char b[16] = {};

	bpf_probe_read_user(b, UNKNOWN(ctx), NULL);
	return b[3];
}

/* What is stored in a buffer is overwritten by whoever fills it. */
#define FILL_WITH_POINTER_INSIDE(size)                                         \
	asm volatile("r2 = *(u64 *)(r1 + 112);"                                \
		     "r3 = 0;"                                                 \
		     "*(u64 *)(r10 - 16) = r3;"                                \
		     "*(u64 *)(r10 - 8) = r1;" size                            \
		     "r1 = r10;"                                               \
		     "r1 += -16;"                                              \
		     "call 112;"                                               \
		     "r0 = 0;"                                                 \
		     "exit;" ::                                                \
			     : "memory")

// accepted
NAKED size_over_a_pointer(void)
{
	FILL_WITH_POINTER_INSIDE("r2 &= 15;");
}

// guards: 1
NAKED size_unknown_over_a_pointer(void)
{
	FILL_WITH_POINTER_INSIDE("");
}

// guards: 1
RULE size_signed(struct pt_regs *ctx)
{
	long n = UNKNOWN(ctx);

	if (n > 8)
		return 0;
	return bpf_probe_read_user(text, n, NULL);
}

// refused: R2 min value is negative, either use unsigned or 'var &= const'
RULE size_signed_with_record(struct pt_regs *ctx)
{
	long n = UNKNOWN(ctx);
	__u64 *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r)
		return 0;
	if (n <= 8)
		bpf_probe_read_user(r, n, NULL);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// refused: bpf_probe_read_user writes up to 15 bytes at 0, there are 8: check the size first
RULE size_masked_with_record(struct pt_regs *ctx)
{
	__u64 n = UNKNOWN(ctx);
	__u64 *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r)
		return 0;
	asm volatile("%0 &= 15" : "+r"(n));
	bpf_probe_read_user(r, n, NULL);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// refused: R2 unbounded memory access, use 'var &= const'
RULE size_unknown_with_record(struct pt_regs *ctx)
{
	__u64 n = UNKNOWN(ctx) >> 1;
	__u64 *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r)
		return 0;
	bpf_probe_read_user(r, n, NULL);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

// refused: bpf_probe_read_user writes 4096 bytes at 0, 'argument.bss' has 16
RULE size_too_large(struct pt_regs *ctx)
{
	return bpf_probe_read_user(text, 4096, NULL);
}

// refused: R2 invalid zero-sized read: u64=[0,7]
RULE size_perhaps_zero(struct pt_regs *ctx)
{
	__u64 n = UNKNOWN(ctx);

	asm volatile("%0 &= 7" : "+r"(n));
	return bpf_get_current_comm(text, n);
}

/* No byte, but not there. */
// refused: invalid indirect access to stack R1 off=0 size=0
NAKED nothing_at_r10(void)
{
	asm volatile("r1 = r10; r2 = 0; r3 = 0; call 112; r0 = 0; exit;");
}

// refused: R2 invalid zero-sized read: u64=[0,0]
RULE size_zero(struct pt_regs *ctx)
{
	return bpf_trace_printk(format, 0);
}

// accepted
RULE size_zero_where_it_may_be(struct pt_regs *ctx)
{
	return bpf_probe_read_user(text, 0, NULL) +
	       bpf_snprintf(NULL, 0, plain, NULL, 0);
}

// refused: R1 type=scalar expected=fp
RULE null_with_a_size(struct pt_regs *ctx)
{
	return bpf_snprintf(NULL, 8, format, NULL, 0);
}

// refused: R1 type=scalar expected=fp
RULE null_that_may_not_be(struct pt_regs *ctx)
{
	return bpf_probe_read_user(NULL, 0, NULL);
}

// refused: R2 type=fp expected=scalar
RULE size_is_a_pointer(struct pt_regs *ctx)
{
	char b[8];

	return bpf_probe_read_user(b, (__u32)(long)b, NULL) +
	       ((long (*)(void *, void *, void *))BPF_FUNC_probe_read_user)(
		       b, b, NULL);
}

// refused: write into map forbidden
RULE reads_into_constant(struct pt_regs *ctx)
{
	return bpf_probe_read_user((void *)format, 2, NULL);
}

// accepted
RULE length_of_string_is_bounded(struct pt_regs *ctx)
{
	long n = bpf_probe_read_user_str(text, 8, NULL);

	if (n < 0)
		return 0;
	text[n] = 0;
	return 0;
}

/* --- strings, numbers, ctx */

// refused: R3 does not point to a readonly map
RULE string_writable(struct pt_regs *ctx)
{
	return bpf_snprintf(text, 8, writable, NULL, 0);
}

// refused: R3 type=fp expected=map_value
RULE string_on_stack(struct pt_regs *ctx)
{
	char f[4] = "%d";

	USE(f);
	return bpf_snprintf(text, 8, f, NULL, 0);
}

// refused: string is not zero-terminated
RULE string_without_end(struct pt_regs *ctx)
{
	return bpf_snprintf(text, 8, open_end, NULL, 0);
}

// refused: R3 is not a constant address
RULE string_somewhere(struct pt_regs *ctx)
{
	return bpf_snprintf(text, 8, format + (UNKNOWN(ctx) & 1), NULL, 0);
}

// refused: is no multiple of 8
RULE data_of_half_a_word(struct pt_regs *ctx)
{
	__u64 v = 0;

	return bpf_snprintf(text, 8, format, &v, 4);
}

// refused: Invalid format string
RULE format_without_argument(struct pt_regs *ctx)
{
	return bpf_snprintf(text, 8, format, NULL, 0);
}

// refused: Invalid format string
RULE format_that_is_none(struct pt_regs *ctx)
{
	__u64 v = 0;

	return bpf_snprintf(text, 8, wrong_format, &v, 8);
}

// refused: misaligned stack access off -12 size 8
RULE long_misaligned(struct pt_regs *ctx)
{
	char b[16] = {};

	return bpf_strtol(text, 8, 0, (long *)(b + 4));
}

// refused: value_size=20 off=16 size=8
RULE long_too_short(struct pt_regs *ctx)
{
	return bpf_strtol(text, 8, 0, (long *)&half.n[4]);
}

// refused: R2 is not a known constant
RULE record_of_any_size(struct pt_regs *ctx)
{
	void *r = bpf_ringbuf_reserve(&ring, UNKNOWN(ctx) & 7, 0);

	if (r)
		bpf_ringbuf_discard(r, 0);
	return 0;
}

// refused: R2 type=ctx expected=scalar
RULE record_of_an_address(void *ctx)
{
	void *r = bpf_ringbuf_reserve(&ring, (__u64)ctx, 0);

	if (r)
		bpf_ringbuf_discard(r, 0);
	return 0;
}

// refused: R2 type=scalar expected=fp
RULE address_of_the_target(struct pt_regs *ctx)
{
	return bpf_ringbuf_output(&ring, (void *)UNKNOWN(ctx), 8, 0);
}

// refused: dereference of modified ctx ptr R1 off=8 disallowed
RULE ctx_moved(char *ctx)
{
	return bpf_get_attach_cookie(ctx + 8);
}

// refused: R1 type=map_value expected=ctx
RULE ctx_that_is_none(void *ctx)
{
	return bpf_perf_event_output(text, &events, 0, text, 8);
}

// refused: R3 type=map_value expected=fp
RULE callback_ctx_in_a_map(void *ctx)
{
	return bpf_for_each_map_elem(&array, nothing, text, 0);
}

// accepted
RULE print_with_fewer_arguments(struct pt_regs *ctx)
{
	return bpf_trace_printk(format, sizeof(format)) +
	       bpf_trace_printk(format, sizeof(format), 1);
}

/* What is known of the stack stays true.  (Kernels may have this one switched off.) */
// ours: refused: R1 type=fp expected=scalar
RULE writes_to_its_stack(struct pt_regs *ctx)
{
	__u64 to = 1, from = UNKNOWN(ctx);

	bpf_probe_write_user(&to, &from, sizeof(to));
	return to;
}
