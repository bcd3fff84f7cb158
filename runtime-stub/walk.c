/* SPDX-License-Identifier: MIT */
/* walk.c - bpf_get_stack: the user's call chain by frame pointers, as
 * perf_callchain_user() in arch/x86/events/core.c walks it:
 *
 *     ip
 *     [sp]             if the probed instruction is push %rbp, as then rbp is
 *                      still the caller's
 *     8(rbp), 8(0(rbp)), ...   as long as both words can be read
 *
 * so code without frame pointers gives chains that are short or wrong, and the
 * same ones.  At most min(room + skip, MAX_STACK) addresses are collected, of
 * which the first `skip` are left out.  A return address that was exchanged for
 * a pad's is shown as what it was (fixup_uretprobe_trampoline_entries()).
 *
 *                                    get_stack
 *   flags that do not exist          -EINVAL
 *   build ids, but not of the user   -EINVAL
 *   size % 8 (build ids: 32)         -EINVAL
 *   fewer addresses than skip        -EFAULT
 *   else                             bytes written, what is left is zeroed
 *
 * Failure zeroes the buffer.  Without BPF_F_USER_STACK the kernel's part of the
 * chain is wanted; a uprobe comes from user mode, where that is empty: there as
 * here no address is found.
 */
#include <linux/bpf.h>
#include <linux/errno.h>

#include "runtime-stub/fault.h"
#include "runtime-stub/walk.h"

enum {
	STACK_PAGE = 4096,
	WORD = 8
};

/* Memory that was found readable, whole pages: our stack, which nobody unmaps,
 * is asked about once a page. */
struct span {
	uint64_t from, to;
};

static bool words(struct span *s, uint64_t *to, uint64_t addr, uint64_t n,
		  struct run *run)
{
	uint64_t end = addr + n;

	if (addr >= s->from && end <= s->to && end >= addr)
		return !fault_copy(to, (const void *)addr, n);
	if (!copy_in(to, addr, n, run))
		return false;
	if (addr < s->from || addr > s->to)
		s->from = addr;
	s->to = ((end - 1) | (STACK_PAGE - 1)) + 1;
	return true;
}

static void add(struct chain *c, uint64_t ip)
{
	if (c->found < c->most && c->found >= c->skip)
		c->to[(c->found - c->skip) * c->step] = weld_origin(ip);
	c->found += c->found < c->most;
}

void chain_walk(struct chain *c, const struct hit *hit, struct run *run)
{
	struct span known = { 0, 0 };
	uint64_t w[2];

	add(c, hit->ip);
	if (hit->push_rbp && words(&known, w, hit->sp, WORD, run))
		add(c, w[0]);
	w[0] = hit->bp;
	while (c->found < c->most && words(&known, w, w[0], 2 * WORD, run))
		add(c, w[1]);
}

uint32_t chain_most(uint32_t room, uint32_t skip)
{
	return room + skip < MAX_STACK ? room + skip : MAX_STACK;
}

static long fill(const struct hit *hit, void *buf, uint32_t size,
		 uint64_t flags, struct run *run)
{
	bool user = flags & BPF_F_USER_STACK, ids = flags & BPF_F_USER_BUILD_ID;
	uint32_t each = ids ? sizeof(struct bpf_stack_build_id) : WORD;
	struct chain c = { .skip = flags & BPF_F_SKIP_FIELD_MASK,
			   .step = each / WORD };
	uint32_t n;

	if (flags & ~(uint64_t)(BPF_F_SKIP_FIELD_MASK | BPF_F_USER_STACK |
				BPF_F_USER_BUILD_ID) ||
	    (ids && !user) || size % each)
		return -EINVAL;
	c.most = chain_most(size / each, c.skip);
	c.to = (any64 *)((uint8_t *)buf +
			 (ids ? offsetof(struct bpf_stack_build_id, ip) : 0));
	if (user)
		chain_walk(&c, hit, run);
	if (c.found < c.skip)
		return -EFAULT;
	n = c.found - c.skip;
	if (ids)
		chain_build_ids(buf, n);
	return n * each;
}

DEFINE_HELPER(get_stack)
{
	uint8_t *buf = (uint8_t *)r2;
	uint32_t size = (uint32_t)r3;
	long n = fill((const struct hit *)r1, buf, size, r4, run);
	uint32_t used = n < 0 ? 0 : (uint32_t)n;

	mem_zero(buf + used, size - used);
	return (uint64_t)n;
}
