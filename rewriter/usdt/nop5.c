/* SPDX-License-Identifier: MIT */
/* nop5.c - make USDT sites fast for the kernel's own probes.
 *
 * sys/sdt.h emits a nop of one byte.  A probe there is a trap; on a nop of
 * five bytes, kernels from 6.18 on make it a call (arch_uprobe_optimize()).
 *
 *   site: nop; next...   -->   site: jmp tramp    tramp: nop5      <- the note
 *                                    int3 fill           next...
 *                                                        jmp back
 *
 * Where enough nops follow, they are exchanged where they are and the note is
 * right as it is.  Elsewhere its location moves along into the trampoline;
 * registers and stack are there as they were at the site, so its arguments
 * stay true.
 *
 * The kernel's call pushes onto the stack, without regard for the red zone.  So
 * a function that could have something there is left as it is: one that calls
 * nobody.  (Compilers use the red zone in no other.)
 */
#include <stdlib.h>

#include "rewriter/usdt/usdt.h"

static struct bpf_insn nothing[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
	{ .code = BPF_JMP | BPF_EXIT },
};
static uint32_t whole[1];
static uint8_t no_api[1];

static bool calls_somebody(const struct image *img, const struct func *f)
{
	uint64_t at = f->addr, end = f->addr + f->size;
	struct insn in;

	for (; at < end; at += in.len) {
		const uint8_t *p = image_at(img, at, end - at);

		if (!p || !insn_decode(p, end - at, at, &in))
			return false;
		if (in.flow == FLOW_CALL || in.flow == FLOW_CALL_IND)
			return true;
	}
	return false;
}

/* One byte; not the beginning of what newer headers emit. */
static bool is_short(const struct image *img, uint64_t at)
{
	uint64_t room = image_room(img, at);
	const uint8_t *p = image_at(img, at, 1);
	struct insn in, next;

	if (!p || !insn_decode(p, room, at, &in) || !in.nop || in.len != 1)
		return false;
	return room < 2 || !insn_decode(p + 1, room - 1, at + 1, &next) ||
	       !next.nop || next.len < 5;
}

static void link_note(struct arena *a, const struct sites *s,
		     const struct sdt_note *n, struct links *links)
{
	const struct func *f = func_around(s, n->addr);

	if (!is_short(s->img, n->addr))
		return;
	if (!f || !calls_somebody(s->img, f)) {
		links->nskipped++;
		return;
	}
	links->link = arena_push(a, links->link, links->nlink,
				 sizeof(*links->link));
	links->link[links->nlink++] = (struct link){
		.when = WHEN_NOP5, .addr = n->addr, .func = f,
		.offset = n->addr - f->addr, .note = n, .glob = true,
	};
}

static int by_addr(const void *x, const void *y)
{
	const struct link *a = x, *b = y;

	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

int nop5_links(struct arena *a, const struct sites *s, struct bpf_set *set,
	       struct links *links, struct facts **facts, struct err *e)
{
	struct sdt_note *note;
	size_t n;

	if (sdt_notes_read(a, s->img, &note, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++)
		link_note(a, s, &note[i], links);
	if (!links->nlink)
		return fail(e, s->img->path, NOWHERE,
			    n ? "no USDT site is a nop of one byte that could "
				"be a longer one"
			      : "no USDT probes");
	qsort(links->link, links->nlink, sizeof(*links->link), by_addr);
	set->prog = arena_alloc(a, sizeof(*set->prog));
	set->prog[set->nprog++] = (struct bpf_prog){
		.name = "usdt-nop5", .section = "usdt", .insn = nothing,
		.ninsn = 2, .sub = whole, .api = no_api, .nsub = 1,
	};
	*facts = arena_alloc(a, sizeof(**facts));
	return 0;
}

size_t nop5_notes(struct arena *a, const struct links *links,
		  const struct plan *plan, struct raw_edit **edit)
{
	uint64_t *loc = arena_alloc(a, (links->nlink + 1) * sizeof(*loc));
	size_t n = 0, first;

	*edit = arena_alloc(a, (links->nlink + 1) * sizeof(**edit));
	for (uint32_t i = 0; i < links->nlink; i++) {
		const struct link *l = &links->link[i];
		const struct place *at;

		if (l->when != WHEN_NOP5 || !plan_places(plan, i, &first))
			continue;
		at = &plan->place[first];
		loc[n] = plan->patch[at->patch].point[at->point].nop5 -
			 l->note->moved;
		(*edit)[n] = (struct raw_edit){
			l->note->at, (const uint8_t *)&loc[n], sizeof(*loc)
		};
		n++;
	}
	return n;
}
