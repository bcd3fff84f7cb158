/* SPDX-License-Identifier: MIT */
/* trace.c - bpf_trace_printk and bpf_trace_vprintk: a line (format.c) into the
 * region's ring.
 *
 * The result is the length of the whole text; the ring keeps TRACE_TEXT bytes
 * of it.  A line that is refused takes no record.
 */
#include "runtime-stub/stub.h"

enum { PRINTK_ARGS = 3 };

static long print(struct format *f, uint32_t size)
{
	struct region_trace *ring = (void *)(weld_region + weld_info.trace);
	struct text t = { .room = TRACE_TEXT, .run = f->run };
	struct region_trace_record *r;
	uint64_t slots, n, who;
	long ret = format_prepare(f, size);

	if (ret)
		return ret;
	slots = (weld_info.trace_size - sizeof(*ring)) / sizeof(*r);
	if (!slots) {
		t.room = 0;
		format_print(f, &t);
		return t.len;
	}
	n = __atomic_fetch_add(&ring->next, 1, __ATOMIC_RELAXED);
	r = &ring->record[n % slots];
	__atomic_store_n(&r->seq, 0, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	who = helper_get_current_pid_tgid(0, 0, 0, 0, 0, NULL);
	r->ns = clock_ns(MONOTONIC);
	r->tgid = (uint32_t)(who >> 32);
	r->tid = (uint32_t)who;
	r->cpu = (uint32_t)helper_get_smp_processor_id(0, 0, 0, 0, 0, NULL);
	t.to = r->text;
	format_print(f, &t);
	r->len = t.len < TRACE_TEXT ? t.len : TRACE_TEXT;
	__atomic_store_n(&r->seq, n + 1, __ATOMIC_RELEASE);
	return (int32_t)t.len;
}

DEFINE_HELPER(trace_printk)
{
	const uint64_t arg[PRINTK_ARGS] = { r3, r4, r5 };
	struct format f = { .fmt = (const char *)r1,
			    .arg = arg,
			    .nargs = PRINTK_ARGS,
			    .run = run };

	return (uint64_t)print(&f, (uint32_t)r2);
}

DEFINE_HELPER(trace_vprintk)
{
	struct format f = { .fmt = (const char *)r1, .run = run };
	long ret = format_args(&f, r3, r4);

	return (uint64_t)(ret ? ret : print(&f, (uint32_t)r2));
}
