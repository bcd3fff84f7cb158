/* SPDX-License-Identifier: MIT */
/* prove.c - see prove.h. */
#include "prove.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "place.h"
#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/object.h"
#include "rewriter/verify/program.h"
#include "runtime-stub/guard.h"
#include "tests/bpf/engine.h"
#include "watch.h"
#include "world.h"

bool prove_loud;

enum {
	REGION_MAX_BYTES = 1 << 18
};
struct outcome {
	uint64_t result;
	bool failed, too_long, by_chance; /* see judge.h */
	uint8_t region[REGION_MAX_BYTES];
};

static void fill_ctx(struct hit *ctx, const struct place *at)
{
	uint64_t *word = (uint64_t *)ctx;

	memset(ctx, 0, sizeof(*ctx));
	for (uint64_t i = 0; i < PT_REGS_SIZE / 8; i++)
		word[i] = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 3 * i;
	ctx->orig_ax = UINT64_MAX;
	ctx->cs = USER_CS;
	ctx->ss = USER_SS;
	ctx->ip = at->ip;
	ctx->sp = at->sp;
}

static void print_program(const struct bpf_prog *p)
{
	for (uint32_t i = 0; i < p->ninsn; i++)
		fprintf(stderr, "%4u: %02x r%d r%d %+d %d\n", i,
			p->insn[i].code, p->insn[i].dst_reg, p->insn[i].src_reg,
			p->insn[i].off, p->insn[i].imm);
}

static int finding(const struct bpf_prog *p, const char *what)
{
	print_program(p);
	fprintf(stderr, "finding: %s\n", what);
	return 1;
}

/* No run is longer than it may be, nor than it was charged. */
static int in_time(const struct bpf_prog *p, const struct verified *v,
		   const struct judge *j)
{
	char text[200];
	uint64_t charged = v->once + GUARD_UNIT * j->used_up;

	if (j->steps <= v->longest && (!p->longest || j->steps <= charged))
		return 0;
	snprintf(text, sizeof(text),
		 "%u instructions, where %llu were the most, or %llu charged",
		 j->steps, (unsigned long long)v->longest,
		 (unsigned long long)charged);
	return finding(p, text);
}

/* Run it in one way. */
static int judged(const struct bpf_prog *p, const struct verified *v,
		  uint32_t way, struct watch *w, struct outcome *out)
{
	static struct judge j;
	char text[300];

	memset(&j, 0, sizeof(j));
	world_reset();
	j.p = p;
	j.place = place_of(way);
	fill_ctx(j.place->ctx, j.place);
	watch_judge(w, &j);
	judge_run(&j);
	out->result = j.result;
	out->failed = j.failed;
	out->too_long = j.too_long;
	out->by_chance = j.by_chance;
	world_keep(out->region);
	if (!j.wrong[0])
		return in_time(p, v, &j);
	snprintf(text, sizeof(text), "insn %u: %s", j.at, j.wrong);
	return finding(p, text);
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->result == b->result &&
	       !memcmp(a->region, b->region, world_region()->size);
}

static int differs(const struct bpf_prog *p, const char *engine,
		   const struct outcome *want, const struct outcome *got)
{
	const struct region *r = world_region();
	char text[200];
	uint64_t at = 0;
	uint32_t m = 0;

	while (at < r->size && want->region[at] == got->region[at])
		at++;
	for (uint32_t k = 0; k < r->nmap; k++)
		if (r->map[k].data <= at && r->map[k].data > r->map[m].data)
			m = k;
	snprintf(text, sizeof(text),
		 "%s: r0 %llx, not %llx; in the region %02x, not %02x at %llu, "
		 "which is %llu of %s",
		 engine, (unsigned long long)got->result,
		 (unsigned long long)want->result, got->region[at % r->size],
		 want->region[at % r->size], (unsigned long long)at,
		 (unsigned long long)(at - r->map[m].data), r->map[m].name);
	return finding(p, text);
}

/* Does what comes of it hang on addresses, or on stack bytes that were never
 * set?  1: there is a finding. */
static int is_by_chance(const struct bpf_prog *p, const struct verified *v,
			struct watch *w,
			const struct outcome *want, uint32_t ways, bool *yes)
{
	static struct outcome out;

	*yes = want->by_chance;
	for (uint32_t way = 1; way < ways && !*yes; way++) {
		if (judged(p, v, way, w, &out))
			return 1;
		*yes = out.too_long || !same(want, &out);
	}
	return 0;
}

static int run_one(const struct bpf_prog *p, enum engine_kind k,
		   struct outcome *got)
{
	static struct hit ctx __attribute__((aligned(16)));
	struct arena a = { 0 };
	struct trial r = {
		.prog = *p,
		.set = world_set(),
		.mem = (uint8_t *)&ctx,
		.len = sizeof(struct hit),
		.pt_regs = true,
		.free_regs = (uint32_t)(p->ninsn * 0x9e3779b1u) & 0xffef,
	};
	struct err e;
	int bad;

	fill_ctx(&ctx, place_of(0));
	world_reset();
	bad = run_engine(&a, k, &r, &e);
	arena_free(&a);
	if (bad) {
		err_print(stderr, &e);
		return finding(p, engine_names[k]);
	}
	got->result = r.result;
	world_keep(got->region);
	return 0;
}

static bool loads_tasks(const struct bpf_prog *p)
{
	for (uint32_t i = 0; i < p->ninsn; i++)
		if (is_task_load(&p->insn[i]))
			return true;
	return false;
}

/* Two ways show most of what hangs on addresses.  They may agree where an
 * engine has another opinion; then all ways are asked. */
static int run_all(const struct bpf_prog *p, const struct verified *v,
		   struct watch *w, struct tally *t)
{
	static struct outcome want, got;
	bool by_chance;

	if (judged(p, v, 0, w, &want))
		return 1;
	t->failed += want.failed;
	t->too_long += want.too_long;
	if (want.too_long)
		return 0;
	if (is_by_chance(p, v, w, &want, 2, &by_chance))
		return 1;
	for (enum engine_kind k = 0; k < RUN_KINDS && !by_chance; k++) {
		if (k != RUN_VM && loads_tasks(p)) /* it needs the stub */
			continue;
		if (run_one(p, k, &got))
			return 1;
		if (same(&want, &got))
			continue;
		if (is_by_chance(p, v, w, &want, PLACES, &by_chance))
			return 1;
		if (!by_chance)
			return differs(p, engine_names[k], &want, &got);
	}
	t->by_chance += by_chance;
	t->ran += !by_chance;
	return 0;
}

static bool has_shape(struct arena *a, struct bpf_prog *p, struct err *e)
{
	if (check_shape(p, "made.bpf.o", e))
		return false;
	bpf_settle(a, world_set(), p);
	return !bpf_check(p, "made.bpf.o", e);
}

static void count(struct tally *t, const struct verified *v, bool charged)
{
	t->accepted++;
	t->guarded += v->guards != 0;
	t->charged += charged;
	t->processed += v->processed;
	if (v->processed > t->most_processed)
		t->most_processed = v->processed;
}

static int verdict(struct arena *a, struct bpf_prog *p, struct tally *t,
		   struct watch *w)
{
	FILE *log = prove_loud ? stderr : NULL;
	struct verified v = { 0 };
	struct err e = { .what = "" };

	if (!has_shape(a, p, &e)) {
		t->shapeless++;
	} else if (watch_verify(w, a, world_set(), p, log, &v, &e)) {
		t->refused++;
	} else {
		count(t, &v, p->longest && p->guarded);
		return run_all(p, &v, w, t);
	}
	if (prove_loud)
		err_print(stderr, &e);
	return 0;
}

int prove(struct dice *d, struct tally *t)
{
	const uint64_t most = (uint64_t)GUARD_LEFT * GUARD_UNIT;
	static struct made made;
	struct arena a = { 0 };
	struct bpf_prog p;
	struct watch *w;
	int ret;

	/* Of some, all turns are charged. */
	verify_longest = (d->seed >> 32) % 4 ? most : 0;
	make_program(d, &made);
	p = made.prog;
	p.insn = arena_dup(&a, p.insn, p.ninsn * sizeof(*p.insn));
	p.sub = arena_dup(&a, p.sub, p.nsub * sizeof(*p.sub));
	t->made++;
	if (prove_loud)
		print_program(&p);
	w = watch_new();
	ret = verdict(&a, &p, t, w);
	watch_free(w);
	arena_free(&a);
	return ret;
}
