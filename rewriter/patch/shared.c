/* SPDX-License-Identifier: MIT */
/* shared.c - one body for all sites of a program, where the sites are very many
 * and the program is too large to stand at each.
 *
 *   trampoline:  lea  -128(%rsp), %rsp      body:  save everything
 *                push $probe                       gate, count: by the number
 *                call body            -->          ip: a table, by the number
 *                displaced instruction             call the program
 *                ...                  <--          bring everything back
 *                                                  ret  $136
 *
 * A site costs 15 bytes then, and four of the table.  The body differs with
 * what cannot be found by the number: the cookie, what a ret takes off the
 * stack, whether the site called, whether it is a push of rbp.  Sessions and
 * USDT probes have all at the site, and so has Go code, as its stack may not be
 * used.
 */
#include <stddef.h>

#include "rewriter/patch/tramp.h"

enum { RED_ZONE = 128, NUMBER = 8 };

static const struct link *link_of(const struct tramp *t, const struct spot *s)
{
	return &t->links->link[s->pt->link];
}

static bool has_function_form(const struct tramp *t, uint32_t prog)
{
	return t->env->engine == ENGINE_VM ||
	       (t->env->func_of && t->env->func_of[prog]);
}

bool shared_wanted(const struct tramp *t, const struct spot *s)
{
	const struct link *l = link_of(t, s);

	return t->env->dense && s->pt->nlink == 1 && !l->session && !l->note &&
	       !s->needs.go && !s->pt->overrides &&
	       has_function_form(t, l->prog);
}

/* --- the table ----------------------------------------------------------- */

/* How many entries the table needs: 0 where no program would look there. */
static uint32_t table_size(const struct tramp *t)
{
	const struct links *l = t->links;
	bool wanted = false;
	uint32_t n = 0;

	for (size_t i = 0; i < l->nlink; i++) {
		if (t->env->probe_of[i] == UINT32_MAX)
			continue;
		n = t->env->probe_of[i] + 1;
		wanted |= has_function_form(t, l->link[i].prog);
	}
	return t->env->dense && wanted ? n : 0;
}

/* The probed address by probe number, from the table's own. */
int shared_table(struct tramp *t, struct bodies *b)
{
	const struct links *l = t->links;
	uint32_t n = table_size(t);

	if (!n)
		return 0;
	code_align(t->c, 4, 0xcc);
	b->table = code_here(t->c);
	for (uint32_t i = 0; i < n; i++)
		code_u32(t->c, 0);
	for (size_t i = 0; i < l->nlink; i++) {
		int64_t to = (int64_t)(l->link[i].addr - b->table);
		uint32_t probe = t->env->probe_of[i];

		if (probe == UINT32_MAX)
			continue;
		if (!fits32(to))
			return refuse(t->e, t->img->path, l->link[i].addr,
				      "the new code is over 2 GiB away");
		memcpy(t->c->p + (b->table - t->c->vaddr) + 4 * (size_t)probe,
		       &(int32_t){ (int32_t)to }, 4);
	}
	return 0;
}

/* --- the body ------------------------------------------------------------ */

void shared_number(struct tramp *t, const struct spot *s)
{
	struct mem m = { .base = RSP,
			 .disp = (int32_t)s->keep.size + NUMBER };

	x86_load(t->c, 4, false, RAX, &m);
}

/* rcx = base + rax << scale */
static void element(struct tramp *t, struct mem base, unsigned scale)
{
	x86_lea(t->c, RCX, &base);
	x86_lea_index(t->c, RCX, RCX, RAX, scale);
}

static void gate_test(struct tramp *t)
{
	static const uint8_t cmpb[] = { 0x80, 0x39, 0 }; /* $0, (%rcx) */

	element(t, (struct mem){ .base = MEM_RW,
				 .to = t->env->code.region_rw +
				       t->env->code.region->gates },
		0);
	code_bytes(t->c, cmpb, sizeof(cmpb));
}

/* Leaves rcx at the probe's struct region_count. */
static void hit_count(struct tramp *t, struct cold *cold)
{
	static const uint8_t cmp_rsp[] = { 0x48, 0x39, 0x25 };
	static const uint8_t incq[] = { 0x48, 0xff, 0x41,
					offsetof(struct region_count, own) };

	_Static_assert(sizeof(struct region_count) == 1 << 6, "shift");
	x86_shift(t->c, 8, SHIFT_SHL, RAX, 6);
	element(t, (struct mem){ .base = MEM_RW,
				 .to = t->env->code.region_rw +
				       t->env->code.region->counts },
		0);
	code_bytes(t->c, cmp_rsp, sizeof(cmp_rsp));
	code_rw32(t->c, t->env->code.own_rw, 0);
	cold->js = code_branch(t->c, COND_S);
	code_bytes(t->c, incq, sizeof(incq));
	cold->body = code_here(t->c);
}

/* rcx = the probed address */
static void site_load(struct tramp *t, const struct spot *s)
{
	struct mem at = { .base = RCX };
	struct mem table = { .base = MEM_RX, .to = t->bodies->table };

	shared_number(t, s);
	element(t, table, 2);
	x86_load(t->c, 4, true, RAX, &at);
	x86_lea(t->c, RCX, &table);
	x86_alu(t->c, 8, ALU_ADD, RCX, RAX);
}

static void body_cold(struct tramp *t, const struct spot *s,
		      const struct cold *cold)
{
	static const uint8_t lock_incq[] = { 0xf0, 0x48, 0xff, 0x01 };

	t->depths.now = s->body;
	depth_note(&t->depths, t->c);
	code_branch_land(t->c, cold->je);
	code_call(t->c, stub_symbol(t->env->code.stub, "weld_arm"));
	shared_number(t, s);
	gate_test(t);
	code_branch_to(t->c, COND_NE, cold->run);
	code_branch_to(t->c, COND_ALWAYS, cold->next);
	code_branch_land(t->c, cold->js);
	code_bytes(t->c, lock_incq, sizeof(lock_incq));
	code_branch_to(t->c, COND_ALWAYS, cold->body);
}

static int body_write(struct tramp *t, void *spot)
{
	static const uint8_t ret[] = { 0xc2, RED_ZONE + NUMBER, 0 };
	struct spot *s = spot;
	struct cold *cold = s->cold;

	frame_enter(t->c, &s->keep, origin_symbol(t), &t->depths);
	s->body = t->depths.now;
	shared_number(t, s);
	gate_test(t);
	cold->je = code_branch(t->c, COND_E);
	cold->run = code_here(t->c);
	hit_count(t, cold);
	site_load(t, s);
	s->keep.f.cookie = link_of(t, s)->cookie;
	s->keep.f.push_rbp = at_push_rbp(t, s, link_of(t, s));
	frame_hit_at(t->c, &s->keep, RCX);
	run_form(t, s, 0);
	cold->next = code_here(t->c);
	frame_leave(t->c, &s->keep, &t->depths);
	code_bytes(t->c, ret, sizeof(ret));
	body_cold(t, s, cold);
	return 0;
}

/* Nothing is known of the sites, so everything is live. */
static void body_frame(const struct tramp *t, struct spot *s)
{
	uint32_t above = 8 + NUMBER + RED_ZONE + (t->called ? 8 : 0);

	s->needs.live = ALL_REGS;
	s->needs.live_flags = true;
	s->needs.stepped = true;
	frame_lay_out(&s->keep, &s->needs, above, t->plan->nlate != 0);
}

static bool same_body(const struct body_of *x, const struct body_of *y)
{
	return x->prog == y->prog && x->cookie == y->cookie &&
	       x->returns == y->returns && x->called == y->called &&
	       x->push_rbp == y->push_rbp && x->pops == y->pops;
}

int shared_body(struct tramp *t, struct spot *s)
{
	const struct link *l = link_of(t, s);
	struct body_of want = {
		.prog = l->prog,
		.cookie = l->cookie,
		.returns = s->needs.returns,
		.called = t->called,
		.push_rbp = at_push_rbp(t, s, l),
		.pops = s->needs.pops,
	};
	struct bodies *b = t->bodies;
	struct depths outer = t->depths;
	uint64_t start;

	body_frame(t, s);
	for (size_t i = 0; i < b->n; i++)
		if (same_body(&b->of[i], &want)) {
			s->shared = b->of[i].code;
			return 0;
		}
	code_align(t->c, 16, 0xcc);
	start = s->shared = want.code = code_here(t->c);
	t->depths = (struct depths){ .a = t->c->a, .start = start };
	if (write_near(t, body_write, s))
		return -1;
	want.frame = (struct frame_desc){
		.start = start, .size = code_here(t->c) - start,
		.depth = t->depths.v, .ndepth = t->depths.n,
	};
	t->depths = outer;
	b->of = arena_push(t->c->a, b->of, b->n, sizeof(*b->of));
	b->of[b->n++] = want;
	return 0;
}

/* --- what stands at the site ---------------------------------------------- */

void shared_run(struct tramp *t, const struct spot *s)
{
	tramp_step(t, RED_ZONE);
	code_u8(t->c, 0x68); /* push */
	code_u32(t->c, t->env->probe_of[s->pt->link]);
	depth_change(&t->depths, t->c, NUMBER);
	code_call(t->c, s->shared);
	depth_change(&t->depths, t->c, -(RED_ZONE + NUMBER));
}
