/* SPDX-License-Identifier: MIT */
/* tasks - clocks, the NUMA node, ids in a pid namespace.  `dev` and `ino` are
 * those of /proc/self/ns/pid. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SITE SEC("uprobe/helpers:site")

const volatile __u64 dev = 0, ino = 0;

/* --- clocks: how they stand to each other ------------------------------- */

enum { SECOND = 1000000000 };
struct clocks {
	__u64 tai, ktime, boot, jiffies;
	long tai_later, tai_is_ahead, tai_runs_with_ktime;
	long jiffies_later, jiffies_are_high, jiffies_run_with_ktime;
} clocks;

SITE int clock_tai(void *ctx)
{
	__u64 tai = bpf_ktime_get_tai_ns(), ktime = bpf_ktime_get_ns();
	__u64 tai2 = bpf_ktime_get_tai_ns();

	clocks.tai = tai;
	clocks.ktime = ktime;
	clocks.boot = bpf_ktime_get_boot_ns();
	clocks.tai_later = tai2 >= tai && tai2 - tai < SECOND;
	clocks.tai_is_ahead = tai > ktime && tai > clocks.boot;
	/* When the machine was started, to half an hour. */
	clocks.tai_runs_with_ktime = (tai - ktime) >> 41;
	return 0;
}

/* In a second there are `hz` jiffies; where they begin is a few off. */
const volatile __u64 hz = 250;
SITE int clock_jiffies(void *ctx)
{
	__u64 first = (__u32)(-300 * (int)hz);
	__u64 j = bpf_jiffies64(), ktime = bpf_ktime_get_ns();
	__u64 j2 = bpf_jiffies64();
	__s64 off = j - first - ktime / (SECOND / hz);

	clocks.jiffies = j;
	clocks.jiffies_later = j2 >= j && j2 - j < hz;
	clocks.jiffies_are_high = j >= first;
	clocks.jiffies_run_with_ktime = off > -(__s64)hz && off < (__s64)hz;
	return 0;
}

/* --- where -------------------------------------------------------------- */

long node;
SITE int numa_node(void *ctx)
{
	node = bpf_get_numa_node_id();
	return 0;
}

/* --- who, in a pid namespace -------------------------------------------- */

struct who {
	long ret;
	__u32 info[4];
};
enum { WHOS = 12 };
struct who who[WHOS];
long same[WHOS];

static __always_inline void ask(struct who *w, __u64 of_dev, __u64 of_ino,
				__u32 size)
{
	__builtin_memset(w->info, 0xaa, sizeof(w->info));
	w->ret = bpf_get_ns_current_pid_tgid(of_dev, of_ino, (void *)w->info,
					     size);
}

SITE int ids_in_the_namespace(void *ctx)
{
	struct bpf_pidns_info info = { 1, 1 };
	__u64 id = bpf_get_current_pid_tgid();

	same[0] = bpf_get_ns_current_pid_tgid(dev, ino, &info, sizeof(info));
	same[1] = info.pid == (__u32)id;
	same[2] = info.tgid == id >> 32;
	ask(&who[0], dev, ino, 8);
	who[0].info[0] -= info.pid;
	who[0].info[1] -= info.tgid;
	return 0;
}

SITE int ids_of_another_namespace(void *ctx)
{
	ask(&who[1], dev, ino + 1, 8);
	ask(&who[2], dev + 1, ino, 8);
	ask(&who[3], 0, 0, 8);
	ask(&who[4], dev | 1ull << 32, ino, 8);
	ask(&who[5], dev, ino | 1ull << 32, 8);
	ask(&who[6], -1ull, -1ull, 8);
	ask(&who[11], dev | 1 << 20, ino, 8);
	return 0;
}

SITE int ids_of_another_size(void *ctx)
{
	ask(&who[7], dev, ino, 4);
	ask(&who[8], dev, ino, 16);
	ask(&who[9], dev, ino, 7);
	ask(&who[10], dev, ino, 1);
	return 0;
}

/* Asked twice, as the first answer may be kept. */
struct {
	long ret[2], is_tid[2], is_pid[2];
} asked[WHOS];

SEC("uprobe/tasks:here")
int ids_of_all(struct pt_regs *ctx)
{
	__u64 at = PT_REGS_PARM1(ctx);
	struct bpf_pidns_info info;

	if (at >= WHOS)
		return 1;
	for (int i = 0; i < 2; i++) {
		asked[at].ret[i] = 1 + bpf_get_ns_current_pid_tgid(
					       dev, ino, &info, sizeof(info));
		asked[at].is_tid[i] = info.pid == PT_REGS_PARM2(ctx);
		asked[at].is_pid[i] = info.tgid == PT_REGS_PARM3(ctx);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
