/* SPDX-License-Identifier: MIT */
/* generate.c - fill the RX segment, front to back.
 *
 *   rx_start   weld header and evicted sections: emit's
 *              struct weld_info, its records and map descriptions
 *              the stub: what of it this weld needs
 *              subprograms, and programs too large to stand at every site
 *              trampolines, in site order
 *              unwind tables
 *
 * Everything is written at its final address; only references to RW wait until
 * RX is complete.
 */
#include "elf/dynamic.h"
#include "rewriter/bpf/guard.h"
#include "rewriter/code/known.h"
#include "rewriter/code/x86.h"
#include "rewriter/generate.h"

static uint64_t image_init(const struct image *img)
{
	uint64_t init = 0;

	return dynamic_get(img, DT_INIT, &init) ? init : 0;
}

/* The stub arms itself on the first hit wherever that comes from.  These hooks
 * only make that first hit an early one: before the target has threads or has
 * locked itself into a sandbox.  Sites that trap do need theirs. */
static void hook_start(struct weld *w)
{
	if (plan_traps(&w->plan))
		w->edits.entry = stub_symbol(&w->stub, "weld_trap_entry");
	else if (!w->img.dso && w->img.entry)
		w->edits.entry = stub_symbol(&w->stub, "weld_entry");
	else if (w->img.dso && image_init(&w->img))
		w->edits.init = stub_symbol(&w->stub, "weld_init");
}

/* A weld of so many sites is dense: its trampolines stand end to end, and have
 * one name for all. */
enum { DENSE_SITES = 1024 };

/* At how many places each program stands. */
static size_t *places_count(struct weld *w)
{
	size_t *n = arena_alloc(&w->arena, (w->set.nprog + 1) * sizeof(*n));

	for (size_t i = 0; i < w->plan.npatch; i++)
		for (size_t k = 0; k < w->plan.patch[i].npoint; k++) {
			const struct point *x = &w->plan.patch[i].point[k];

			if (x->kind != POINT_REACHED &&
			    x->kind != POINT_RETURN)
				continue;
			for (uint32_t l = x->link; l < x->link + x->nlink; l++)
				n[w->links.link[l].prog]++;
		}
	for (size_t i = 0; i < w->plan.nlate; i++) {
		const struct late *x = &w->plan.late[i];

		for (uint32_t l = x->link; l < x->link + x->nlink; l++)
			n[w->links.link[l].prog]++;
	}
	return n;
}

/* In what may the programs that stand somewhere continue by tail calls? */
static bool *programs_tailed(struct weld *w)
{
	bool *start = arena_alloc(&w->arena, w->set.nprog + 1);
	bool *tailed = arena_alloc(&w->arena, w->set.nprog + 1);

	for (uint32_t p = 0; p < w->set.nprog; p++)
		start[p] = w->places[p];
	bpf_tailed(&w->set, start, tailed);
	return tailed;
}

static bool is_needed(const struct weld *w, uint32_t p)
{
	return w->places[p] || w->tailed[p];
}

static bool any_tail(const struct weld *w)
{
	for (uint32_t p = 0; p < w->set.nprog; p++)
		if (is_needed(w, p) &&
		    bpf_calls(&w->set.prog[p], BPF_FUNC_tail_call))
			return true;
	return false;
}

/* Helpers and entry points of the stub that this weld refers to. */
static const char *const late_roots[] = { "weld_exchange", "weld_exchange_to",
					  "weld_origin", "weld_pad" };
enum { NLATE_ROOTS = sizeof(late_roots) / sizeof(*late_roots) };

static const char *const session_roots[] = { "weld_session_begin",
					     "weld_session_find",
					     "weld_session_end" };
enum { NSESSION_ROOTS = sizeof(session_roots) / sizeof(*session_roots) };

static bool any_session(const struct weld *w)
{
	for (uint32_t p = 0; p < w->set.nprog; p++)
		if (w->places[p] && w->set.prog[p].session)
			return true;
	return false;
}

/* Does any program touch memory that may not be there? */
static bool any_faults(const struct weld *w)
{
	for (uint32_t p = 0; p < w->set.nprog; p++)
		for (uint32_t i = 0; is_needed(w, p) && i < w->set.prog[p].ninsn;
		     i += 1 + insn_is_lddw(&w->set.prog[p].insn[i])) {
			const struct bpf_insn *in = &w->set.prog[p].insn[i];

			if (in->code == (BPF_JMP | BPF_CALL) && !in->src_reg &&
			    helper_faults((uint32_t)in->imm))
				return true;
		}
	return false;
}

static void root_add(struct weld *w, struct code_names *to, const char *name)
{
	to->v = arena_push(&w->arena, to->v, to->n, sizeof(*to->v));
	to->v[to->n++] = name;
}

/* Does anything of it tell the time? */
static bool wants_clock(const struct code_names *root)
{
	static const char *const who[] = { "helper_ktime_", "helper_jiffies64",
					   "helper_trace_", "weld_vm" };

	for (size_t i = 0; i < root->n; i++)
		for (size_t k = 0; k < sizeof(who) / sizeof(*who); k++)
			if (!strncmp(root->v[i], who[k], strlen(who[k])))
				return true;
	return false;
}

/* Files as small as this have no memory asked for. */
static const char *room_root(const struct weld *w)
{
	return w->region.range < ROOM_MATTERS ? "room_unasked" : "room_for";
}

static struct code_names stub_roots(struct weld *w,
				    const struct weld_options *opt)
{
	struct code_names r = { 0 };

	if (opt->usdt_nop5)
		return r;
	root_add(w, &r, "weld_cold");
	root_add(w, &r, "weld_cold_over");
	root_add(w, &r, "weld_arm");
	root_add(w, &r, "start_nothing");
	if (w->faults)
		root_add(w, &r, "fault_arm");
	if (w->fault & FAULT_TRUST)
		root_add(w, &r, "libs_are_seen");
	if (w->region.npin) {
		root_add(w, &r, "pins_map");
		root_add(w, &r, "pins_tell");
	}
	root_add(w, &r, room_root(w));
	if (!w->img.dso && w->img.entry)
		root_add(w, &r, "weld_entry");
	if (w->img.dso && image_init(&w->img))
		root_add(w, &r, "weld_init");
	if (w->region.loads)
		root_add(w, &r, "weld_loads");
	if (plan_traps(&w->plan))
		root_add(w, &r, "weld_trap_entry");
	if (w->img.go) {
		root_add(w, &r, "weld_stack_claim");
		root_add(w, &r, "weld_arm_go");
	}
	if (opt->engine == ENGINE_VM)
		root_add(w, &r, "weld_vm");
	for (size_t i = 0; w->plan.nlate && i < NLATE_ROOTS; i++)
		root_add(w, &r, late_roots[i]);
	for (size_t i = 0; any_session(w) && i < NSESSION_ROOTS; i++)
		root_add(w, &r, session_roots[i]);
	if (any_tail(w))
		root_add(w, &r, "weld_tail");
	for (uint32_t p = 0; p < w->set.nprog; p++)
		if (is_needed(w, p))
			code_helpers(&w->arena, &w->set, &w->set.prog[p],
				     opt->engine == ENGINE_VM, &r);
	if (wants_clock(&r))
		root_add(w, &r, "clock_use");
	return r;
}

static struct weld_info *info_of(const struct weld *w)
{
	return (struct weld_info *)(w->rx.p + (w->info_vaddr - w->rx.vaddr));
}

static int stub_place(struct weld *w, const struct weld_options *opt,
		      struct err *e)
{
	struct code_names root = stub_roots(w, opt);
	struct stub_extern ext[] = {
		{ .name = "weld_info" },
		{ .name = "weld_orig_entry", .vaddr = w->img.entry },
		{ .name = "weld_orig_init", .vaddr = image_init(&w->img) },
		{ .name = "weld_fault_arm",
		  .alias = w->faults ? "fault_arm" : "start_nothing" },
		{ .name = "weld_libs_seen",
		  .alias = w->fault & FAULT_TRUST ? "libs_are_seen"
						  : "start_nothing" },
		{ .name = "weld_clock_use",
		  .alias = wants_clock(&root) ? "clock_use" : "start_nothing" },
		{ .name = "weld_pins_map",
		  .alias = w->region.npin ? "pins_map" : "start_nothing" },
		{ .name = "weld_pins_tell",
		  .alias = w->region.npin ? "pins_tell" : "start_nothing" },
		{ .name = "weld_room_for", .alias = room_root(w) },
	};

	w->rx.a = &w->arena;
	w->rx.vaddr = w->room.rx_vaddr;
	for (uint64_t i = 0; i < w->room.rx_start; i++)
		code_u8(&w->rx, 0);
	code_align(&w->rx, 64, 0);
	w->info_vaddr = code_here(&w->rx);
	ext[0].vaddr = w->info_vaddr;
	code_bytes(&w->rx, w->region.info.p, w->region.info.n);
	if (stub_link(&w->rx, root.v, root.n, ext,
		      sizeof(ext) / sizeof(*ext), w->region.range,
		      pads_room(&w->plan), &w->stub, e))
		return -1;
	if (w->region.loads && root.n)
		info_of(w)->armed = (int32_t)(stub_symbol(&w->stub,
							  "weld_loads") -
					      w->info_vaddr);
	return 0;
}

static struct code_env code_env(struct weld *w)
{
	return (struct code_env){
		.set = &w->set,
		.region = &w->region,
		.stub = &w->stub,
		.info_vaddr = w->info_vaddr,
		.region_rw = w->stub.region_rw,
		.own_rw = w->stub.own_rw,
		.sub = (const uint64_t *const *)w->sub,
		.shapes = &w->shapes,
	};
}

/* A program that stands at many sites is inlined only while it is small: the
 * copies would cost more in cache misses than a call does.  At very many, also
 * what it takes to call from there is too large. */
enum { INLINE_ALWAYS = 256, INLINE_TOTAL = 64 << 10, INLINE_DENSE = 128 };

static bool inline_pays(const struct facts *f, size_t sites)
{
	if (sites > DENSE_SITES)
		return f->size <= INLINE_DENSE && !f->calls && !f->ctx_escapes;
	return f->size <= INLINE_ALWAYS || f->size * sites <= INLINE_TOTAL;
}

static int program_place(struct weld *w, uint32_t p, size_t sites,
			 struct err *e)
{
	const struct bpf_prog *prog = &w->set.prog[p];
	struct code_env env = code_env(w);

	if (code_subprograms(&w->rx, &env, p, prog, w->sub[p], e))
		return -1;
	if (!prog->session && !w->tailed[p] &&
	    !bpf_calls(prog, BPF_FUNC_tail_call) &&
	    inline_pays(&w->facts[p], sites))
		return 0;
	return code_function(&w->rx, &env, p, prog, 0, &w->func_of[p], e);
}

static void bytecode_place(struct weld *w, uint32_t p)
{
	const struct bpf_prog *prog = &w->set.prog[p];

	code_align(&w->rx, 8, 0);
	w->vm_insns[p] = code_here(&w->rx);
	code_bytes(&w->rx, prog->insn, prog->ninsn * sizeof(*prog->insn));
}

static int programs_place(struct weld *w, const struct weld_options *opt,
			  struct err *e)
{
	size_t n = w->set.nprog;

	w->func_of = arena_alloc(&w->arena, n * sizeof(*w->func_of));
	w->vm_insns = arena_alloc(&w->arena, n * sizeof(*w->vm_insns));
	w->sub = arena_alloc(&w->arena, n * sizeof(*w->sub));
	for (uint32_t p = 0; p < n; p++) {
		size_t sites = w->places[p];

		w->sub[p] = arena_alloc(&w->arena, (w->set.prog[p].nsub + 1) *
							   sizeof(**w->sub));
		if (!is_needed(w, p))
			continue;
		if (opt->engine == ENGINE_VM)
			bytecode_place(w, p);
		else if (program_place(w, p, sites, e))
			return -1;
	}
	return 0;
}

/* Maps of programs lead to a function form, or to bytecode.  A program that
 * has neither is in no map that anything asks.  A session's is never led to,
 * whatever others write into a map: it follows a pointer that only its own sites
 * leave in ctx. */
static void progs_write(struct weld *w, const struct weld_options *opt)
{
	uint64_t at = w->info_vaddr + w->region.info_progs - w->rx.vaddr;
	const struct weld_info *info =
		(const void *)(w->rx.p + w->info_vaddr - w->rx.vaddr);

	for (uint32_t p = 0; p < info->prog_count; p++) {
		uint64_t to = opt->engine == ENGINE_VM ? w->vm_insns[p]
						       : w->func_of[p];
		int32_t from_info = to && !w->set.prog[p].session
					    ? (int32_t)(to - w->info_vaddr)
					    : 0;

		memcpy(w->rx.p + at + p * sizeof(from_info), &from_info,
		       sizeof(from_info));
	}
}

static bool *programs_failing(struct weld *w)
{
	bool *v = arena_alloc(&w->arena, w->set.nprog + 1);

	for (uint32_t p = 0; p < w->set.nprog; p++)
		v[p] = guard_may_fail(&w->set, p);
	return v;
}

static int trampolines_place(struct weld *w, const struct weld_options *opt,
			     struct err *e)
{
	struct build_env env = {
		.code = code_env(w),
		.facts = w->facts,
		.engine = opt->engine,
		.probe_of = w->probe_of,
		.vm_insns = w->vm_insns,
		.func_of = w->func_of,
		.may_fail = programs_failing(w),
		.dense = w->dense,
	};

	/* So what is fast does not hang on how long the stub is. */
	code_align(&w->rx, 64, 0xcc);
	if (patch_build(&w->rx, &w->sites, &w->links, &w->plan, &env,
			&w->built, e))
		return -1;
	if (w->rx.too_far)
		return refuse(e, w->img.path, NOWHERE,
			      "is too large: new code would be more than 2 GiB "
			      "away from it");
	return 0;
}

/* A function form is a frame of its own. */
static struct frame_desc shape_frame(struct arena *a,
				     const struct code_shape *s)
{
	struct depth *d = arena_alloc(a, (4 + 2 * s->ngap) * sizeof(*d));
	struct kept *kept = arena_alloc(a, NREG * sizeof(*kept));
	size_t n = 0, nd = 2;

	for (int r = 0; r < NREG; r++)
		if (s->saved & REG_BIT(r)) {
			kept[n].reg = x86_dwarf(r);
			kept[n].at = (int32_t)s->below - 8 * (int32_t)(n + 1);
			n++;
		}
	d[0] = (struct depth){ .at = s->enter, .below = s->below };
	d[1] = (struct depth){ .at = s->kept, .below = s->below,
			       .kept = n ? kept : NULL, .nkept = n };
	for (uint32_t i = 0; i < s->ngap; i++) {
		d[nd++] = (struct depth){ .at = s->gap[i].from };
		d[nd] = d[1];
		d[nd++].at = s->gap[i].to;
	}
	d[nd++] = (struct depth){ .at = s->leave };
	if (s->cold) {
		d[nd] = d[1];
		d[nd++].at = s->cold;
	}
	return (struct frame_desc){ .start = s->start, .size = s->size,
				    .depth = d, .ndepth = nd };
}

/* Trampolines', and function forms'. */
static struct frame_desc *frames_all(struct weld *w, size_t *n)
{
	size_t nframe = w->built.nframe, nshape = w->shapes.n;
	struct frame_desc *v =
		arena_alloc(&w->arena, (nframe + nshape) * sizeof(*v));

	if (nframe)
		memcpy(v, w->built.frame, nframe * sizeof(*v));
	for (size_t i = 0; i < nshape; i++)
		v[nframe + i] = shape_frame(&w->arena, &w->shapes.v[i]);
	*n = nframe + nshape;
	return v;
}

static int unwind_place(struct weld *w, struct err *e)
{
	size_t frame_max, hdr_max, n;
	struct frame_desc *v = frames_all(w, &n);
	uint64_t eh_frame, hdr;
	struct unwind u;

	if (unwind_size(v, n, &w->img, w->room.frame_table,
			w->stub.eh_frame.n / 16, &frame_max, &hdr_max))
		return 0;
	code_align(&w->rx, 8, 0);
	eh_frame = code_here(&w->rx);
	hdr = align_up(eh_frame + frame_max, 8);
	if (unwind_write(&w->arena, &w->img, v, n, w->stub.eh_frame,
			 w->stub.eh_frame_vaddr, eh_frame,
			 w->room.frame_table ? hdr : 0, &u, e))
		return -1;
	w->eh_frame = eh_frame - w->rx.vaddr;
	w->eh_frame_size = u.eh_frame.n;
	w->debug_frame = u.debug_frame;
	code_bytes(&w->rx, u.eh_frame.p, u.eh_frame.n);
	if (!u.eh_frame_hdr.n)
		return 0;
	while (code_here(&w->rx) < hdr)
		code_u8(&w->rx, 0);
	w->eh_frame_hdr = hdr - w->rx.vaddr;
	w->eh_frame_hdr_size = u.eh_frame_hdr.n;
	code_bytes(&w->rx, u.eh_frame_hdr.p, u.eh_frame_hdr.n);
	return 0;
}

int generate(struct weld *w, const struct weld_options *opt, struct err *e)
{
	w->places = places_count(w);
	w->tailed = programs_tailed(w);
	w->faults = any_faults(w);
	w->dense = w->plan.npatch > DENSE_SITES;
	if (stub_place(w, opt, e) || programs_place(w, opt, e))
		return -1;
	progs_write(w, opt);
	if (trampolines_place(w, opt, e) || unwind_place(w, e))
		return -1;
	if (!opt->usdt_nop5)
		hook_start(w);
	return 0;
}
