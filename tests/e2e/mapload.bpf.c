/* SPDX-License-Identifier: MIT */
/* mapload - each type of map under load: what a program does must add up. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define MAP(map, kind, k, v, n, f)                                             \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, n);                                        \
		__uint(map_flags, f);                                          \
		__type(key, k);                                                \
		__type(value, v);                                              \
	} map SEC(".maps")
#define PROBE(name)                                                            \
	SEC("uprobe/mapload:op_" #name) int on_##name(struct pt_regs *ctx)

/* Of each type: `bad` is what must not be. */
struct tally {
	__u64 calls, put, put_sum, got, got_sum, bad;
};
MAP(tally, PERCPU_ARRAY, __u32, struct tally, 16, 0);
enum {
	TALLY_QUEUE,
	TALLY_STACK,
	TALLY_LRU,
	TALLY_CHURN,
	TALLY_HASH,
	TALLY_LPM,
	TALLY_BLOOM,
	TALLY_LOOK,
	TALLY_CHAIN,
	TALLY_INNER,
	TALLY_TAIL, /* and the three behind it */
};

static __always_inline struct tally *tally_of(__u32 kind)
{
	return bpf_map_lookup_elem(&tally, &kind);
}

MAP(array, ARRAY, __u32, __u64, 4, 0);
PROBE(array)
{
	__u32 key = PT_REGS_PARM1(ctx) & 3;
	__u64 *n = bpf_map_lookup_elem(&array, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

MAP(percpu_array, PERCPU_ARRAY, __u32, __u64, 4, 0);
PROBE(percpu_array)
{
	__u32 key = PT_REGS_PARM1(ctx) & 3;
	__u64 *n = bpf_map_lookup_elem(&percpu_array, &key);

	if (n)
		++*n;
	return 0;
}

/* Add one to a key's value; the first to come makes it. */
#define COUNTING(map, kind, size, add)                                         \
	MAP(map, kind, __u64, __u64, size, 0);                                 \
	PROBE(map)                                                             \
	{                                                                      \
		__u64 key = PT_REGS_PARM1(ctx) & 63, zero = 0, *n;             \
		struct tally *t = tally_of(TALLY_HASH);                        \
                                                                               \
		n = bpf_map_lookup_elem(&map, &key);                           \
		if (!n) {                                                      \
			bpf_map_update_elem(&map, &key, &zero, BPF_NOEXIST);   \
			n = bpf_map_lookup_elem(&map, &key);                   \
		}                                                              \
		if (n)                                                         \
			add;                                                   \
		else if (t)                                                    \
			t->bad++;                                              \
		return 0;                                                      \
	}
COUNTING(hash, HASH, 4096, __sync_fetch_and_add(n, 1))
COUNTING(percpu_hash, PERCPU_HASH, 4096, ++*n)
COUNTING(lru_hash, LRU_HASH, 4096, __sync_fetch_and_add(n, 1))
COUNTING(lru_percpu_hash, LRU_PERCPU_HASH, 4096, ++*n)

/* Prefixes that stay and are counted, among others that come and go. */
struct prefix {
	__u32 bits, address;
};
MAP(lpm, LPM_TRIE, struct prefix, __u64, 256, BPF_F_NO_PREALLOC);
PROBE(lpm)
{
	__u64 i = PT_REGS_PARM1(ctx), zero = 0, *n;
	struct prefix stays = { 8, i & 15 }, goes = { 16, (i & 127) << 8 | 99 };
	struct prefix get = { 32, (i & 15) | 0xabcd0000 };
	struct tally *t = tally_of(TALLY_LPM);

	n = bpf_map_lookup_elem(&lpm, &get);
	if (!n) {
		bpf_map_update_elem(&lpm, &stays, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&lpm, &get);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	else if (t)
		t->bad++;
	if (i & 1)
		bpf_map_update_elem(&lpm, &goes, &zero, BPF_ANY);
	else
		bpf_map_delete_elem(&lpm, &goes);
	return 0;
}

/* A value that tells by itself if it is whole. */
struct item {
	__u64 a, b, c;
};
static __always_inline bool is_whole(const struct item *v)
{
	return v->b == ~v->a && v->c == v->a * 3;
}

#define QUEUEING(map, kind, counts)                                            \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, 100);                                      \
		__type(value, struct item);                                    \
	} map SEC(".maps");                                                    \
	PROBE(map)                                                             \
	{                                                                      \
		__u64 i = PT_REGS_PARM1(ctx);                                  \
		struct item v = { i, ~i, i * 3 };                              \
		struct tally *t = tally_of(counts);                            \
                                                                               \
		if (!t)                                                        \
			return 1;                                              \
		if (!bpf_map_push_elem(&map, &v, BPF_ANY)) {                   \
			t->put++;                                              \
			t->put_sum += i;                                       \
		}                                                              \
		if (i & 1)                                                     \
			return 0;                                              \
		if (!bpf_map_peek_elem(&map, &v) && !is_whole(&v))             \
			t->bad++;                                              \
		for (int k = 0; k < 2; k++)                                    \
			if (!bpf_map_pop_elem(&map, &v)) {                     \
				t->got++;                                      \
				t->got_sum += v.a;                             \
				if (!is_whole(&v))                             \
					t->bad++;                              \
			}                                                      \
		return 0;                                                      \
	}
QUEUEING(queue, QUEUE, TALLY_QUEUE)
QUEUEING(stack, STACK, TALLY_STACK)

/* More keys than room: what is there is right, and there is never too much.
 * (Values are not compared with their keys: an element may be given to another
 * key while a program has its address, as in the kernel.) */
MAP(lru, LRU_HASH, __u64, __u64, 64, 0);
PROBE(lru)
{
	__u64 key = (PT_REGS_PARM1(ctx) * 0x9e3779b97f4a7c15) >> 54;
	__u64 v = key * 3 + 1, *found = bpf_map_lookup_elem(&lru, &key);
	struct tally *t = tally_of(TALLY_LRU);

	if (!t)
		return 1;
	t->calls++;
	t->got += found != 0;
	if (bpf_map_update_elem(&lru, &key, &v, BPF_ANY))
		t->bad++;
	return 0;
}

/* (Of 128 keys most find no room.) */
MAP(churn, HASH, __u32, struct item, 32, 0);
PROBE(churn)
{
	__u64 i = PT_REGS_PARM1(ctx);
	struct item v = { i, ~i, i * 3 };
	struct tally *t = tally_of(TALLY_CHURN);
	__u32 key = (i * 0x9e3779b97f4a7c15) >> 57;

	if (!t)
		return 1;
	if (i % 3 == 0) {
		t->put += !bpf_map_update_elem(&churn, &key, &v, BPF_NOEXIST);
	} else if (i % 3 == 1) {
		t->got += !bpf_map_delete_elem(&churn, &key);
	} else {
		bpf_map_update_elem(&churn, &key, &v, BPF_EXIST);
	}
	return 0;
}

/* What was added is found, at once and ever after, by whoever asks; `bloom_put`
 * has a bit for each value that was.  (None is added twice: that would mend what
 * got lost.) */
enum {
	VALUES = 1 << 20
};
MAP(bloom_put, ARRAY, __u32, __u64, VALUES / 64, 0);
struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, VALUES);
	__type(value, __u64);
} bloom SEC(".maps");
PROBE(bloom)
{
	__u64 v = (PT_REGS_PARM1(ctx) * 0x9e3779b97f4a7c15) >> 44;
	__u32 at = v / 64;
	__u64 *put = bpf_map_lookup_elem(&bloom_put, &at), bit = 1ull << (v & 63);
	struct tally *t = tally_of(TALLY_BLOOM);

	if (!t || !put)
		return 1;
	t->calls++;
	if (!(*put & bit)) {
		if (bpf_map_push_elem(&bloom, &v, BPF_ANY))
			t->bad++;
		__sync_fetch_and_or(put, bit);
	}
	if (bpf_map_peek_elem(&bloom, &v))
		t->bad++;
	return 0;
}

PROBE(bloom_look)
{
	__u64 v = PT_REGS_PARM1(ctx) % VALUES;
	__u32 at = v / 64;
	__u64 *put = bpf_map_lookup_elem(&bloom_put, &at);
	struct tally *t = tally_of(TALLY_LOOK);
	bool is_put, found = !bpf_map_peek_elem(&bloom, &v);

	if (!t || !put)
		return 1;
	is_put = *put >> (v & 63) & 1;
	t->calls++;
	t->put += is_put;
	t->got += is_put && found;
	t->bad += !is_put && found; /* as filters do, but not often */
	return 0;
}

/* The caller comes one of eight ways, which the argument says: the chain that
 * an id stands for must be that way.  In `reused` they take each other's place.
 */
struct trace {
	__u64 ip[5];
};
struct way {
	__u32 way;
	__s32 id;
};
MAP(chains, STACK_TRACE, __u32, struct trace, 1024, 0);
MAP(reused, STACK_TRACE, __u32, struct trace, 8, 0);
MAP(stack_trace, HASH, struct way, __u64, 4096, 0);
PROBE(stack_trace)
{
	struct way key = { PT_REGS_PARM1(ctx) & 7, 0 };
	struct tally *t = tally_of(TALLY_CHAIN);
	__u64 zero = 0, *n;

	if (!t)
		return 1;
	key.id = bpf_get_stackid(ctx, &chains, BPF_F_USER_STACK);
	n = bpf_map_lookup_elem(&stack_trace, &key);
	if (!n) {
		bpf_map_update_elem(&stack_trace, &key, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&stack_trace, &key);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		t->bad++;
	key.id = bpf_get_stackid(ctx, &reused,
				 BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	/* (No room: others are just putting theirs in a place, too.) */
	if (key.id < 0 && key.id != -ENOMEM)
		t->bad++;
	return 0;
}

/* What an inner map gets is tallied, too: as put, of those with an odd number as
 * got. */
static __always_inline void inner(__u64 *n, __u32 at)
{
	struct tally *t = tally_of(TALLY_INNER);

	if (!t)
		return;
	if (!n) {
		t->bad++;
		return;
	}
	__sync_fetch_and_add(n, 1);
	if (at & 1)
		t->got++;
	else
		t->put++;
}

struct counts {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counts_even SEC(".maps"), counts_odd SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct counts);
} array_of_maps SEC(".maps") = {
	.values = { &counts_even, &counts_odd, &counts_even, &counts_odd },
};
PROBE(array_of_maps)
{
	__u32 at = PT_REGS_PARM1(ctx) & 3, key = PT_REGS_PARM1(ctx) >> 2 & 3;
	void *map = bpf_map_lookup_elem(&array_of_maps, &at);
	__u64 *n = map ? bpf_map_lookup_elem(map, &key) : 0;
	inner(n, at);
	return 0;
}

struct table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} table_one SEC(".maps"), table_two SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__uint(key_size, sizeof(__u32));
	__array(values, struct table);
} hash_of_maps SEC(".maps") = {
	.values = { &table_one, &table_two, &table_one, &table_two },
};
PROBE(hash_of_maps)
{
	__u32 at = PT_REGS_PARM1(ctx) >> 6 & 3;
	__u64 key = PT_REGS_PARM1(ctx) & 63, zero = 0, *n = 0;
	void *map = bpf_map_lookup_elem(&hash_of_maps, &at);

	if (map)
		n = bpf_map_lookup_elem(map, &key);
	if (map && !n) {
		bpf_map_update_elem(map, &key, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(map, &key);
	}
	inner(n, at);
	return 0;
}

/* Each program that is called counts; the last one calls the first. */
int tail_0(struct pt_regs *ctx);
int tail_1(struct pt_regs *ctx);
int tail_2(struct pt_regs *ctx);
int tail_3(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} prog_array SEC(".maps") = {
	.values = { (void *)&tail_0, (void *)&tail_1, (void *)&tail_2,
		    (void *)&tail_3 },
};
#define TAIL(n, and)                                                           \
	SEC("uprobe") int tail_##n(struct pt_regs *ctx)                        \
	{                                                                      \
		struct tally *t = tally_of(TALLY_TAIL + n);                    \
                                                                               \
		if (t)                                                         \
			t->got++;                                              \
		and;                                                           \
		return 0;                                                      \
	}
TAIL(0, )
TAIL(1, )
TAIL(2, )
TAIL(3, bpf_tail_call(ctx, &prog_array, 0))
PROBE(prog_array)
{
	__u32 n = PT_REGS_PARM1(ctx) & 3;
	struct tally *t = tally_of(TALLY_TAIL + n);

	if (!t)
		return 1;
	t->put++;
	bpf_tail_call(ctx, &prog_array, n);
	t->bad++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
