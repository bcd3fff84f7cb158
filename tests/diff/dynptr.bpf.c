/* SPDX-License-Identifier: MIT */
/* dynptr - parts of map values and records whose size is known at run time. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum {
	STEPS = 256
};

#define ARRAY(name, val, n)                                                    \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(max_entries, n);                                        \
		__type(key, __u32);                                            \
		__type(value, val);                                            \
	} name SEC(".maps")

/* At most `mask`, as the verifier can tell. */
static __always_inline __u32 bound(__u64 v, __u64 mask)
{
	v &= mask;
	__asm__ volatile("%0 &= %1" : "+r"(v) : "i"(mask));
	return v;
}

static __always_inline void *at(void *map, __u32 i)
{
	return bpf_map_lookup_elem(map, &i);
}

/* --- Memory: every offset and length around both ends, and flags. */
struct memory {
	__u8 byte[64];
};
ARRAY(memory, struct memory, 1);
struct outcome {
	long make, read, write, flags, wide, past, none, empty;
	__u64 data, data_past;
	__u8 got[16];
	__u8 kept[16];
};
ARRAY(memory_out, struct outcome, STEPS);

/* bpf_dynptr_read() with all of the register for an offset. */
static long (*const read_wide)(void *dst, __u32 len, const struct bpf_dynptr *,
			       __u64 offset,
			       __u64 flags) = (void *)BPF_FUNC_dynptr_read;

SEC("uprobe/maps:step")
int of_memory(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS;
	struct memory *m = at(&memory, 0);
	struct outcome *o = at(&memory_out, i);
	__u32 off = i % 71, len = bound(i * 7, 15), size = bound(i * 5, 63);
	__u8 from[16] = "0123456789abcde", *data;
	struct bpf_dynptr p;

	if (!m || !o)
		return 1;
	from[0] = i;
	m->byte[i % 64] = i;
	o->make = bpf_dynptr_from_mem(m, size, i % 13 == 12, &p);
	__builtin_memset(o->got, 0xaa, sizeof(o->got));
	o->read = bpf_dynptr_read(o->got, len, &p, off, 0);
	o->write = bpf_dynptr_write(&p, off, from, len, 0);
	o->flags = bpf_dynptr_write(&p, off, from, len, i % 3) * 1000 +
		   bpf_dynptr_read(o->kept, 1, &p, off, i % 5 == 4);
	o->wide = read_wide(o->kept, 1, &p, (1ull << 32) + i % 3, 0);
	o->past = bpf_dynptr_write(&p, -1u - i % 4, from, 4, 0);
	o->none = bpf_dynptr_read(o->kept, 0, &p, size, 0);
	o->empty = bpf_dynptr_write(&p, size + 1, from, 0, 0);
	data = bpf_dynptr_data(&p, i % 64, 4);
	if (data) {
		o->data = data[0] | data[3] << 8;
		data[1]++;
	}
	o->data_past = !bpf_dynptr_data(&p, size - 3, 4);
	return 0;
}

/* Within one value: what is read is written over meanwhile. */
ARRAY(overlap, struct memory, STEPS);

SEC("uprobe/maps:step")
int overlapping(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS;
	struct memory *m = at(&overlap, i);
	__u32 from = bound(i, 31), to = bound(i / 8, 31), n = bound(i * 11, 31);
	struct bpf_dynptr p;

	if (!m)
		return 1;
	for (int k = 0; k < 64; k++)
		m->byte[k] = k;
	bpf_dynptr_from_mem(m, sizeof(*m), 0, &p);
	bpf_dynptr_read(&m->byte[to], n, &p, from, 0);
	bpf_dynptr_write(&p, to, &m->byte[from], n, 0);
	return 0;
}

/* A known constant on the stack is none once a dynptr's read went over it. */
ARRAY(forgotten, __u64, STEPS);

SEC("uprobe/maps:step")
int forgets(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS, key = 0;
	__u64 *v = at(&forgotten, i);
	struct bpf_dynptr p;

	if (!v)
		return 1;
	*v = (i + 1) % STEPS;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &p);
	bpf_dynptr_read(&key, sizeof(key), &p, 0, 0);
	v = bpf_map_lookup_elem(&forgotten, &key);
	if (v)
		*v += 1000000;
	return 0;
}

/* In a subprogram, through a pointer. */
ARRAY(sums, __u64, STEPS);

static __noinline long sum(const struct bpf_dynptr *p, __u32 n)
{
	long all = 0;
	__u8 b;

	for (__u32 k = 0; k < 8; k++)
		if (k < n && !bpf_dynptr_read(&b, 1, p, k, 0))
			all = all * 3 + b;
	return all;
}

SEC("uprobe/maps:step")
int in_subprogram(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS;
	__u64 *v = at(&sums, i);
	struct bpf_dynptr p;

	if (!v)
		return 1;
	*v = i * 0x0102030405060708;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &p);
	*v = sum(&p, i % 10);
	return 0;
}

/* --- Records. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} small SEC(".maps");
struct reserved {
	long make, write, read, past, after, after_write;
	__u64 first;
	__u8 got[8];
};
ARRAY(reserved, struct reserved, STEPS);

SEC("uprobe/maps:step")
int of_ring(struct pt_regs *ctx)
{
	__u64 i = PT_REGS_PARM1(ctx) % STEPS, *data;
	struct reserved *r = at(&reserved, i);
	__u8 from[8] = "record";
	__u32 size = i * 13 % 100;
	struct bpf_dynptr p;

	if (!r)
		return 1;
	if (i % 16 == 15)
		size = i % 32 == 31 ? 1 << 24 : (1 << 24) - 1;
	r->make = bpf_ringbuf_reserve_dynptr(&ring, size, i % 21 == 20, &p);
	for (__u32 k = 0; k < 13; k++) /* all of it, or it would be random */
		bpf_dynptr_write(&p, k * 8, from, 8, 0);
	for (__u32 k = 0; k < 8; k++)
		bpf_dynptr_write(&p, (size & ~7) + k, from, 1, 0);
	r->write = bpf_dynptr_write(&p, size - 3, &i, 3, 0);
	r->past = bpf_dynptr_write(&p, size, &i, 1, 0);
	r->read = bpf_dynptr_read(r->got, 8, &p, size / 2, 0);
	data = bpf_dynptr_data(&p, 0, 8);
	if (data) {
		r->first = *data;
		*data = i;
	}
	if (i % 3)
		bpf_ringbuf_submit_dynptr(&p,
					  i % 3 == 1 ? BPF_RB_NO_WAKEUP : 0);
	else
		bpf_ringbuf_discard_dynptr(&p, 0);
	return 0;
}

ARRAY(filled, long, STEPS);

SEC("uprobe/maps:step")
int fills(struct pt_regs *ctx)
{
	__u64 i = PT_REGS_PARM1(ctx) % STEPS;
	long *r = at(&filled, i);
	struct bpf_dynptr p;

	if (!r)
		return 1;
	*r = bpf_ringbuf_reserve_dynptr(&small, i == 3 ? 4096 : 256, 0, &p);
	for (__u32 k = 0; k < 32; k++)
		bpf_dynptr_write(&p, k * 8, &i, 8, 0);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
