/* SPDX-License-Identifier: MIT */
/* dynptr_kfuncs - the kernel functions that look at, cut, copy and fill
 * dynptrs. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum { STEPS = 256 };

extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, __u32 start,
			     __u32 end) __ksym;
extern _Bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern _Bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p,
			    struct bpf_dynptr *to) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset,
			      void *buffer, __u32 size) __ksym;
extern int bpf_dynptr_copy(struct bpf_dynptr *to, __u32 to_off,
			   struct bpf_dynptr *from, __u32 from_off,
			   __u32 size) __ksym;
extern int bpf_dynptr_memset(struct bpf_dynptr *p, __u32 offset, __u32 size,
			     __u8 byte) __ksym;

#define ARRAY(name, val, n)                                                    \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(max_entries, n);                                        \
		__type(key, __u32);                                            \
		__type(value, val);                                            \
	} name SEC(".maps")

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

/* A kernel function leaves more in r0 than its _Bool. */
static __always_inline __u64 truth(__u64 v)
{
	__asm__ volatile("%0 &= 0xff" : "+r"(v));
	return v;
}

struct memory {
	__u8 byte[64];
};
ARRAY(memory, struct memory, STEPS);
struct seen {
	long made, cut, cut_again, cloned, cloned_size;
	__u64 size, size_cut, null, rdonly, slice, slice_past, slice_again;
};
ARRAY(seen, struct seen, STEPS);

SEC("uprobe/maps:step")
int look(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS;
	__u32 start = i % 7 * 3, end = i * 7 % 67, size = bound(i * 5, 63);
	struct memory *m = at(&memory, i);
	struct seen *s = at(&seen, i);
	struct bpf_dynptr p, q;
	__u8 buffer[8] = {}, *slice;

	if (!m || !s)
		return 1;
	for (int k = 0; k < 64; k++)
		m->byte[k] = k + i;
	s->made = bpf_dynptr_from_mem(m, size, i % 8 == 7, &p);
	s->size = bpf_dynptr_size(&p);
	s->null = truth(bpf_dynptr_is_null(&p));
	s->rdonly = truth(bpf_dynptr_is_rdonly(&p));
	s->cut = bpf_dynptr_adjust(&p, start, end);
	s->size_cut = bpf_dynptr_size(&p);
	s->cloned = bpf_dynptr_clone(&p, &q);
	s->cut_again = bpf_dynptr_adjust(&q, i % 3, i % 11);
	s->cloned_size = bpf_dynptr_size(&q) * 100 + bpf_dynptr_size(&p);
	slice = bpf_dynptr_slice(&p, i % 13, buffer, 8);
	s->slice = slice ? slice[0] + slice[7] * 256 : -1;
	slice = bpf_dynptr_slice(&q, -1u - i % 3, 0, 4);
	s->slice_past = !slice;
	slice = bpf_dynptr_slice(&q, 0, 0, 2);
	s->slice_again = slice ? slice[0] + slice[1] * 256 : -1;
	return 0;
}

struct moved {
	long copied, back, over, filled, fill_past, fill_none;
};
ARRAY(moved, struct moved, STEPS);
ARRAY(from, struct memory, STEPS);
ARRAY(to, struct memory, STEPS);

SEC("uprobe/maps:step")
int moves(struct pt_regs *ctx)
{
	__u32 i = PT_REGS_PARM1(ctx) % STEPS, n = i * 11 % 37;
	struct memory *a = at(&from, i), *b = at(&to, i);
	struct moved *m = at(&moved, i);
	struct bpf_dynptr p, q;

	if (!a || !b || !m)
		return 1;
	for (int k = 0; k < 64; k++) {
		a->byte[k] = k + 1;
		b->byte[k] = 100 + k;
	}
	bpf_dynptr_from_mem(a, bound(i * 3, 63), i % 9 == 8, &p);
	bpf_dynptr_from_mem(b, 64, i % 7 == 6, &q);
	m->copied = bpf_dynptr_copy(&q, i % 31, &p, i % 17, n);
	m->over = bpf_dynptr_copy(&q, i % 13, &q, i % 11, n);
	m->back = bpf_dynptr_copy(&p, 0, &q, 60, i % 6);
	m->filled = bpf_dynptr_memset(&q, i % 50, i % 15, i + 300);
	m->fill_past = bpf_dynptr_memset(&p, i % 60, 9, 5);
	m->fill_none = bpf_dynptr_memset(&p, 0, 0, 5);
	return 0;
}

/* A record is ended as it was reserved, however its dynptr was cut. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

SEC("uprobe/maps:step")
int records(struct pt_regs *ctx)
{
	__u64 i = PT_REGS_PARM1(ctx) % STEPS;
	struct bpf_dynptr p, q;

	bpf_ringbuf_reserve_dynptr(&ring, i % 40, 0, &p);
	bpf_dynptr_memset(&p, 0, i % 40, i);
	bpf_dynptr_clone(&p, &q);
	bpf_dynptr_adjust(&p, i % 5, i % 40);
	bpf_dynptr_memset(&p, 0, 2, 0xff);
	bpf_dynptr_write(&q, 1, &i, 1, 0);
	if (i % 2)
		bpf_ringbuf_submit_dynptr(&p, 0);
	else
		bpf_ringbuf_submit_dynptr(&q, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
