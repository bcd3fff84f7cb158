/* SPDX-License-Identifier: MIT */
/* places - ways to say where a program goes, in which order programs run, and
 * every kind of global variable. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The kernel's names of the words, found by CO-RE. */
struct pt_regs___core {
	unsigned long di, si, ax, ip, sp, flags, orig_ax;
} __attribute__((preserve_access_index));

/* --- several programs on one site ------------------------------------------ */

__u64 trail;             /* .bss: one digit for each program that ran */
__u64 runs[3];
static __u64 unseen = 7; /* .data, not global */

static __always_inline void leave(int me)
{
	if (__sync_fetch_and_add(&runs[me], 1) == 0)
		trail = trail * 10 + me + 1;
	unseen += me;
}

SEC("uprobe/helpers:twice")
int place_one(void *ctx)
{
	leave(0);
	return 0;
}

SEC("uprobe/helpers:twice")
int place_two(void *ctx)
{
	leave(1);
	return 0;
}

SEC("uprobe/helpers:twice")
int place_three(void *ctx)
{
	leave(2);
	return 0;
}

/* --- many places, one program ---------------------------------------------- */

struct place {
	__u64 hits, sum;
	__u32 last;
	__u8 odd : 1, even : 1;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, struct place);
} places SEC(".maps");

static __attribute__((noinline)) int place_note(struct pt_regs___core *ctx,
						__u64 where)
{
	struct place first = {}, *p;

	bpf_map_update_elem(&places, &where, &first, BPF_NOEXIST);
	p = bpf_map_lookup_elem(&places, &where);
	if (!p)
		return 1;
	p->hits++;
	p->sum += ctx->di;
	p->last = ctx->di;
	p->odd |= ctx->di & 1;
	p->even |= !(ctx->di & 1);
	return 0;
}

SEC("uprobe.multi/helpers:one_*")
int each(struct pt_regs___core *ctx)
{
	return place_note(ctx, ctx->ip);
}

SEC("uprobe")
int cookies(struct pt_regs___core *ctx)
{
	return place_note(ctx, bpf_get_attach_cookie(ctx));
}

SEC("?uprobe")
int optional(struct pt_regs___core *ctx)
{
	return place_note(ctx, 1000 + (ctx->orig_ax == -1UL));
}

/* --- settings and data ------------------------------------------------------ */

const volatile __u32 step = 1;        /* .rodata, for --set */
const volatile char label[8] = "none";
const volatile _Bool wide = 0;
__s16 countdown = 100;                /* .data */
__s64 largest = -1;
char seen[16] = "nothing yet";
enum mood { CALM, BUSY = 7 } mood;
struct {
	__u32 calls;
	struct {
		__u64 first, last;
	} arg[2];
} summary = { .calls = 5 };
__u64 SEC(".bss.own") own[4];

SEC("uprobe/helpers:leaf")
int settings(struct pt_regs___core *ctx)
{
	__u64 di = ctx->di;

	if (!summary.calls++)
		return 1;
	countdown -= step;
	if ((__s64)ctx->si > largest)
		largest = ctx->si;
	for (int i = 0; i < sizeof(label); i++)
		seen[i] = label[i];
	mood = wide ? BUSY : CALM;
	if (!di)
		summary.arg[0].first = ctx->sp;
	summary.arg[1].last = di;
	own[di & 3] += step;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
