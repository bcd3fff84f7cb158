/* SPDX-License-Identifier: MIT */
/* hostile - a program for each type of map and for what reads memory that maps
 * have: keys, formats and strings among it.  What they count does not matter. */
#include <stdbool.h>
#include <linux/bpf.h>
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
	SEC("uprobe/hostile_target:op_" #name)                                 \
	int on_##name(struct pt_regs *ctx)
#define X ((__u64)PT_REGS_PARM1(ctx))

struct item {
	__u64 a, b, c;
};
struct twelve {
	__u32 a, b, c;
};
struct prefix {
	__u32 bits, address;
};
struct keys {
	__u32 index;
	struct prefix prefix;
	__u64 word;
};

MAP(array, ARRAY, __u32, struct item, 7, 0);
MAP(keys, ARRAY, __u32, struct keys, 1, 0);

PROBE(array)
{
	__u32 key = X & 7;
	struct item v = { X, 1, 2 }, *at = bpf_map_lookup_elem(&array, &key);

	if (at)
		__sync_fetch_and_add(&at->a, 1);
	bpf_map_update_elem(&array, &key, &v, BPF_ANY);
	return 0;
}

/* Keys that are in a map. */
PROBE(array_key)
{
	__u32 zero = 0;
	struct keys *k = bpf_map_lookup_elem(&keys, &zero);
	struct item v = { X }, *at;

	if (!k)
		return 0;
	k->index = X & 7;
	at = bpf_map_lookup_elem(&array, &k->index);
	if (at)
		at->b++;
	/* (Flags that are not known leave the call to the helper.) */
	bpf_map_update_elem(&array, &k->index, &v, X & 1 ? BPF_EXIST : 0);
	return 0;
}

MAP(cpus, PERCPU_ARRAY, __u32, __u64, 5, 0);
PROBE(cpus)
{
	__u32 key = X & 3;
	__u64 v = X, *n = bpf_map_lookup_elem(&cpus, &key);

	if (n)
		++*n;
	n = bpf_map_lookup_percpu_elem(&cpus, &key, X & 31);
	if (n)
		++*n;
	bpf_map_update_elem(&cpus, &key, &v, BPF_ANY);
	return 0;
}

#define HASH(map, kind, k, n, f, ...)                                          \
	MAP(map, kind, k, struct item, n, f);                                  \
	PROBE(map)                                                             \
	{                                                                      \
		__u32 x = X;                                                   \
		k key = __VA_ARGS__;                                           \
		struct item v = { x, 1, 2 }, *at;                              \
                                                                               \
		at = bpf_map_lookup_elem(&map, &key);                          \
		if (at)                                                        \
			at->b++;                                               \
		if (x % 5 == 0)                                                \
			bpf_map_delete_elem(&map, &key);                       \
		else                                                           \
			bpf_map_update_elem(&map, &key, &v, BPF_ANY);          \
		return 0;                                                      \
	}
HASH(hash4, HASH, __u32, 40, 0, x & 63)
HASH(hash8, HASH, __u64, 100, 0, x & 127)
HASH(hash12, HASH, struct twelve, 16, 0, { x & 15, 1, x & 1 })
HASH(percpu_hash, PERCPU_HASH, __u64, 40, 0, x & 31)
HASH(lru, LRU_HASH, __u64, 32, 0, x & 127)
HASH(lru_percpu, LRU_PERCPU_HASH, __u32, 32, 0, x & 63)
HASH(lpm, LPM_TRIE, struct prefix, 64, BPF_F_NO_PREALLOC,
     { x % 33, x * 0x9e3779b9 })

PROBE(lpm_key)
{
	__u32 zero = 0;
	struct keys *k = bpf_map_lookup_elem(&keys, &zero);
	struct item v = { X };

	if (!k)
		return 0;
	k->prefix.bits = X % 33;
	bpf_map_lookup_elem(&lpm, &k->prefix);
	bpf_map_update_elem(&lpm, &k->prefix, &v, BPF_ANY);
	bpf_map_delete_elem(&lpm, &k->prefix);
	return 0;
}

#define QUEUEING(map, kind)                                                    \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, 20);                                       \
		__type(value, struct item);                                    \
	} map##s SEC(".maps");                                                 \
	PROBE(map)                                                             \
	{                                                                      \
		struct item v = { X, 1, 2 };                                   \
                                                                               \
		bpf_map_push_elem(&map##s, &v, X & 1 ? BPF_EXIST : 0);         \
		bpf_map_peek_elem(&map##s, &v);                                \
		if (X & 2)                                                     \
			bpf_map_pop_elem(&map##s, &v);                         \
		return 0;                                                      \
	}
QUEUEING(queue, QUEUE)
QUEUEING(stack, STACK)

#define RING(map, kind)                                                        \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_##kind);                             \
		__uint(max_entries, 4096);                                     \
	} map SEC(".maps")
RING(rings, RINGBUF);
RING(samples, USER_RINGBUF);

PROBE(ring)
{
	struct item v = { X, 1, 2 };

	bpf_ringbuf_output(&rings, &v, X & 1 ? 8 : sizeof(v), 0);
	bpf_ringbuf_query(&rings, X & 3);
	return 0;
}

PROBE(reserve)
{
	struct item *v = bpf_ringbuf_reserve(&rings, sizeof(*v), 0);

	if (!v)
		return 0;
	v->a = v->b = v->c = X;
	if (X & 1)
		bpf_ringbuf_submit(v, 0);
	else
		bpf_ringbuf_discard(v, 0);
	return 0;
}

PROBE(dynptr)
{
	struct item v = { X, 1, 2 }, *at;
	struct bpf_dynptr p;

	bpf_ringbuf_reserve_dynptr(&rings, 8 + (X & 31), 0, &p);
	bpf_dynptr_write(&p, X & 7, &v, sizeof(v), 0);
	at = bpf_dynptr_data(&p, 0, sizeof(*at));
	if (at)
		at->a++;
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perfs SEC(".maps");
PROBE(perf)
{
	struct item v = { X, 1, 2 };

	bpf_perf_event_output(ctx, &perfs, BPF_F_CURRENT_CPU, &v, sizeof(v));
	return 0;
}

static long on_sample(struct bpf_dynptr *p, void *sum)
{
	__u64 v = 0, *at;

	bpf_dynptr_read(&v, sizeof(v), p, 0, 0);
	at = bpf_dynptr_data(p, 8, 8);
	*(__u64 *)sum += v + (at ? *at : 0);
	return v & 1;
}

PROBE(drain)
{
	__u64 sum = 0;

	bpf_user_ringbuf_drain(&samples, on_sample, &sum, 0);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__type(value, __u64);
} filter SEC(".maps");
PROBE(bloom)
{
	__u64 v = X & 255;

	bpf_map_push_elem(&filter, &v, BPF_ANY);
	bpf_map_peek_elem(&filter, &v);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 20 * 8);
} chain SEC(".maps");
PROBE(chains)
{
	__u64 stack[8];

	bpf_get_stackid(ctx, &chain,
			BPF_F_USER_STACK | (X & 1 ? BPF_F_REUSE_STACKID : 0));
	bpf_get_stack(ctx, stack, sizeof(stack), BPF_F_USER_STACK);
	return 0;
}

/* --- What leads to programs and to maps. */

int tail_one(struct pt_regs *ctx);
int tail_two(struct pt_regs *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} progs SEC(".maps") = {
	.values = { (void *)&tail_one, (void *)&tail_two },
};

PROBE(tail)
{
	bpf_tail_call(ctx, &progs, X & 3);
	return 0;
}

SEC("uprobe")
int tail_one(struct pt_regs *ctx)
{
	bpf_tail_call(ctx, &progs, 1);
	return 0;
}

SEC("uprobe")
int tail_two(struct pt_regs *ctx)
{
	bpf_tail_call(ctx, &progs, 0);
	return 0;
}

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct item);
} inner_one SEC(".maps"), inner_two SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { (void *)&inner_one, (void *)&inner_two } };
PROBE(inner)
{
	__u32 key = X & 3, at = X >> 2 & 3;
	struct item v = { X }, *p;
	void *m = bpf_map_lookup_elem(&outer, &key);

	if (!m)
		return 0;
	p = bpf_map_lookup_elem(m, &at);
	if (p)
		p->c++;
	bpf_map_update_elem(m, &at, &v, BPF_ANY);
	return 0;
}

struct bpf_map;
static long on_elem(struct bpf_map *map, const void *key, struct item *v,
		    void *ctx)
{
	v->c++;
	return 0;
}

PROBE(each)
{
	bpf_for_each_map_elem(&array, on_elem, NULL, 0);
	bpf_for_each_map_elem(&hash8, on_elem, NULL, 0);
	bpf_for_each_map_elem(&lru, on_elem, NULL, 0);
	return 0;
}

/* What is proved by constants is done with them. */
const __u32 table[8] = { 3, 1, 0, 2, 3, 3, 1, 0 };
__u64 found[4];

PROBE(table)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < 8; i++)
		found[table[i]] += X;
	return 0;
}

/* --- Text that is in maps. */

char text[16] = "17 and more";
__u64 numbers[4];

PROBE(print)
{
	bpf_printk("%d %s %llx", (int)X, text, X);
	return 0;
}

PROBE(format)
{
	static const char fmt[] = "%pus %5d|%s|%pI4 %%";
	__u64 args[] = { (__u64)text, X, (__u64)text, (__u64)numbers };
	char out[40];

	bpf_snprintf(out, sizeof(out), fmt, args, sizeof(args));
	return out[0] == 'x';
}

PROBE(string)
{
	long n;
	char copy[16];

	bpf_strtol(text, sizeof(text), 0, &n);
	bpf_probe_read_kernel_str(copy, sizeof(copy), text);
	return bpf_strncmp(text, sizeof(text), "17 and some more") + n;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, struct item);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} hostile_pin SEC(".maps");
PROBE(pinned)
{
	__u64 key = X & 15;
	struct item v = { X }, *at = bpf_map_lookup_elem(&hostile_pin, &key);

	if (at)
		at->a++;
	if (X % 5)
		bpf_map_update_elem(&hostile_pin, &key, &v, BPF_ANY);
	else
		bpf_map_delete_elem(&hostile_pin, &key);
	return 0;
}

/* A tail call that leads here would find no cookie. */
extern __u64 *bpf_session_cookie(void) __ksym;
extern _Bool bpf_session_is_return(void) __ksym;

SEC("uprobe.session/hostile_target:op_session")
int on_session(struct pt_regs *ctx)
{
	__u64 *cookie = bpf_session_cookie();

	if (bpf_session_is_return())
		numbers[0] += *cookie;
	else
		*cookie = X;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
