/* SPDX-License-Identifier: MIT */
/* weld.c - the pipeline.
 *
 *   elf_read     target file -> image
 *   sites_find   image -> every place a probe can go
 *   bpf_load     objects -> programs, maps, globals
 *   bind         SEC() names and -p options x sites -> links
 *   verify       programs in their context -> facts
 *   plan         links -> patches; nothing written yet
 *   layout       maps and probes -> the shared region; RX and RW get addresses
 *   generate     stub, programs, trampolines, unwind tables -> RX
 *   emit         image + edits -> new file, atomically
 *
 * Data flows one way; each stage's product is a field of struct weld.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "elf/dynamic.h"
#include "rewriter/bpf/verify.h"
#include "rewriter/dump.h"
#include "rewriter/output.h"
#include "rewriter/weld.h"

static int same_file(const char *a, const char *b)
{
	char pa[4096], pb[4096];

	return realpath(a, pa) && realpath(b, pb) && strcmp(pa, pb) == 0;
}

static int options_check(const struct weld_options *opt, struct err *e)
{
	if (opt->dry_run)
		return 0;
	if (same_file(opt->target, opt->out))
		return fail(e, opt->out, NOWHERE,
			    "is the target itself; write to another file");
	for (uint32_t i = 0; i < opt->nobject; i++)
		if (same_file(opt->object[i], opt->out))
			return fail(e, opt->out, NOWHERE,
				    "is one of the objects; write to another "
				    "file");
	return 0;
}

static int target_check(const struct weld_options *opt,
			const struct image *img, struct err *e)
{
	if ((img->mode & (S_ISUID | S_ISGID)) && !opt->allow_setuid)
		return refuse(e, img->path, NOWHERE,
			      "is setuid or setgid; --allow-setuid welds it "
			      "all the same");
	return 0;
}

static int links_keep(struct weld *w, const struct weld_options *opt,
		      struct err *e)
{
	size_t n = 0;

	if (!opt->keep)
		return 0;
	for (size_t i = 0; i < w->links.nlink; i++)
		if (opt->keep(&w->img, &w->links.link[i]))
			w->links.link[n++] = w->links.link[i];
	w->ndropped = w->links.nlink - n;
	w->links.nlink = n;
	if (!n)
		return fail(e, w->img.path, NOWHERE, "no link is left");
	return 0;
}

/* Probes are numbered in link order, without the ones that were refused. */
static int probes_number(struct weld *w, const struct weld_options *opt,
			 struct err *e)
{
	const struct refusal *r = w->plan.refusal;

	w->probe_of = arena_alloc(&w->arena,
				  (w->links.nlink + 1) * sizeof(*w->probe_of));
	for (size_t i = 0; i < w->links.nlink; i++)
		w->probe_of[i] = UINT32_MAX;
	for (size_t i = 0; i < w->plan.npatch; i++) {
		const struct patch *p = &w->plan.patch[i];

		for (uint32_t k = 0; k < p->nlink; k++)
			w->probe_of[p->link + k] = w->nprobe++;
	}
	if (w->plan.nrefusal && (opt->strict || w->nprobe == 0)) {
		const struct link *l = &w->links.link[r->link];

		fail(e, w->img.path, l->addr, "%s+0x%llx: %s", l->func->name,
		     (unsigned long long)l->offset, r->why);
		e->kind = ERR_NOT_PLACED;
		return -1;
	}
	return 0;
}

/* The name under which all processes of this file share one region: it depends
 * on everything that went in and on nothing else. */
static void weld_name(struct weld *w, const struct weld_options *opt)
{
	struct identity id;

	identity_start(&id);
	identity_add(&id, w->img.file.p, w->img.file.n);
	for (uint32_t i = 0; i < w->set.nobject; i++)
		identity_add(&id, w->set.object[i].bytes.p,
			     w->set.object[i].bytes.n);
	for (uint32_t i = 0; i < opt->nprobe; i++)
		identity_add(&id, opt->probe[i], strlen(opt->probe[i]));
	for (uint32_t i = 0; i < opt->nset; i++)
		identity_add(&id, opt->set[i], strlen(opt->set[i]));
	identity_add(&id, &opt->engine, sizeof(opt->engine));
	identity_add(&id, BPFWELD_VERSION, sizeof(BPFWELD_VERSION));
	identity_end(&id, w->weld_id);
}

static uint64_t image_init(const struct image *img)
{
	uint64_t init = 0;

	return dynamic_get(img, DT_INIT, &init) ? init : 0;
}

/* The stub arms itself on the first hit wherever that comes from.  These hooks
 * only make that first hit an early one: before the target has threads or has
 * locked itself into a sandbox. */
static void hook_start(struct weld *w)
{
	if (!w->img.dso && w->img.entry)
		w->edits.entry = stub_symbol(&w->stub, "weld_entry");
	else if (w->img.dso && image_init(&w->img))
		w->edits.init = stub_symbol(&w->stub, "weld_init");
}

/* Helpers and entry points of the stub that this weld refers to. */
static size_t stub_roots(struct weld *w, const struct weld_options *opt,
			 const char **root)
{
	uint64_t ids[4] = { 0 };
	size_t n = 0;

	root[n++] = "weld_arm";
	if (!w->img.dso && w->img.entry)
		root[n++] = "weld_entry";
	if (w->img.dso && image_init(&w->img))
		root[n++] = "weld_init";
	if (opt->engine == ENGINE_VM)
		root[n++] = "weld_vm";
	for (size_t i = 0; i < w->links.nlink; i++)
		code_helpers(&w->set, &w->set.prog[w->links.link[i].prog],
			     opt->engine == ENGINE_VM, ids);
	for (uint32_t id = 0; id < 256; id++)
		if (ids[id / 64] >> (id % 64) & 1)
			root[n++] = arena_printf(&w->arena, "helper_%s",
						 helper_name(id));
	return n;
}

static int stub_place(struct weld *w, const struct weld_options *opt,
		      struct err *e)
{
	const char *root[256 + 8];
	size_t nroot = stub_roots(w, opt, root);
	struct stub_extern ext[] = {
		{ "weld_info", 0 },
		{ "weld_orig_entry", w->img.entry },
		{ "weld_orig_init", image_init(&w->img) },
	};

	w->rx.a = &w->arena;
	w->rx.vaddr = w->room.rx_vaddr;
	for (uint64_t i = 0; i < w->room.rx_start; i++)
		code_u8(&w->rx, 0);
	code_align(&w->rx, 64, 0);
	w->info_vaddr = code_here(&w->rx);
	ext[0].vaddr = w->info_vaddr;
	code_bytes(&w->rx, w->region.info.p, w->region.info.n);
	return stub_link(&w->rx, root, nroot, ext, 3, w->region.size, &w->stub,
			 e);
}

static struct code_env code_env(const struct weld *w)
{
	return (struct code_env){
		.set = &w->set,
		.region = &w->region,
		.stub = &w->stub,
		.info_vaddr = w->info_vaddr,
		.region_rw = w->stub.region_rw,
		.sub = (const uint64_t *const *)w->sub,
	};
}

/* A program that stands at many sites is inlined only while it is small: the
 * copies would cost more in cache misses than a call does. */
enum { INLINE_ALWAYS = 256, INLINE_TOTAL = 64 << 10 };

static bool inline_pays(const struct facts *f, size_t sites)
{
	return f->size <= INLINE_ALWAYS || f->size * sites <= INLINE_TOTAL;
}

static int program_place(struct weld *w, uint32_t p, size_t sites,
			 struct err *e)
{
	const struct bpf_prog *prog = &w->set.prog[p];
	struct code_env env = code_env(w);

	if (code_subprograms(&w->rx, &env, p, prog, w->sub[p], e))
		return -1;
	if (inline_pays(&w->facts[p], sites))
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
	size_t *sites = arena_alloc(&w->arena, n * sizeof(*sites));

	w->func_of = arena_alloc(&w->arena, n * sizeof(*w->func_of));
	w->vm_insns = arena_alloc(&w->arena, n * sizeof(*w->vm_insns));
	w->sub = arena_alloc(&w->arena, n * sizeof(*w->sub));
	for (size_t i = 0; i < w->links.nlink; i++)
		if (w->probe_of[i] != UINT32_MAX)
			sites[w->links.link[i].prog]++;
	for (uint32_t p = 0; p < n; p++) {
		w->sub[p] = arena_alloc(&w->arena, (w->set.prog[p].nsub + 1) *
							   sizeof(**w->sub));
		if (!sites[p])
			continue;
		if (opt->engine == ENGINE_VM)
			bytecode_place(w, p);
		else if (program_place(w, p, sites[p], e))
			return -1;
	}
	return 0;
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
	};

	if (patch_build(&w->rx, &w->sites, &w->links, &w->plan, &env,
			&w->built, e))
		return -1;
	if (w->rx.too_far)
		return refuse(e, w->img.path, NOWHERE,
			      "is too large: new code would be more than 2 GiB "
			      "away from it");
	return 0;
}

static int unwind_place(struct weld *w, struct err *e)
{
	uint64_t eh_frame, hdr;
	size_t frame_max, hdr_max;
	struct unwind u;

	if (unwind_size(w->built.frame, w->built.nframe, &w->img,
			w->stub.eh_frame.n / 16, &frame_max, &hdr_max))
		return 0;
	code_align(&w->rx, 8, 0);
	eh_frame = code_here(&w->rx);
	hdr = align_up(eh_frame + frame_max, 8);
	if (unwind_write(&w->arena, &w->img, w->built.frame, w->built.nframe,
			 w->stub.eh_frame, w->stub.eh_frame_vaddr, eh_frame,
			 hdr, &u, e))
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

static int generate(struct weld *w, const struct weld_options *opt,
		    struct err *e)
{
	int bad = stub_place(w, opt, e) || programs_place(w, opt, e) ||
		  trampolines_place(w, opt, e) || unwind_place(w, e);

	if (!bad) {
		hook_start(w);
		code_resolve(&w->rx, emit_rw_vaddr(&w->room, w->rx.n));
	}
	return bad ? -1 : 0;
}

int weld(struct weld *w, const struct weld_options *opt, struct err *e)
{
	struct arena *a = &w->arena;
	int bad;

	bad = options_check(opt, e) ||
	      image_read(a, opt->target, &w->img, e) ||
	      target_check(opt, &w->img, e) ||
	      sites_find(a, &w->img, &w->sites, e) ||
	      bpf_load(a, opt->object, opt->nobject, opt->set, opt->nset,
		       &w->set, e) ||
	      bind_links(a, &w->sites, &w->set, opt->probe, opt->nprobe,
			 &w->links, e) ||
	      links_keep(w, opt, e) ||
	      verify_all(a, &w->set, &w->links, &w->facts, e);
	/* Beyond this point the inputs are good; only room can run out. */
	bad = bad || plan_make(a, &w->sites, &w->links, &w->plan, e) ||
	      probes_number(w, opt, e);
	if (!bad)
		weld_name(w, opt);
	bad = bad ||
	      region_plan(a, &w->set, w->nprobe, w->weld_id, &w->region, e) ||
	      emit_plan(a, &w->img, &w->room, e) || generate(w, opt, e);
	/* Beyond this point every address is fixed. */
	bad = bad || output_edits(w, opt, e) || dump_stage(w, opt->dump, e);
	bad = bad || (!opt->dry_run &&
		      emit_write(a, &w->img, &w->room, &w->edits, opt->out, e));
	return bad ? -1 : 0;
}

void weld_free(struct weld *w)
{
	bpf_unload(&w->set);
	image_close(&w->img);
	arena_free(&w->arena);
}

const struct patch *weld_patch_of(const struct weld *w, uint32_t link,
				  const char **why)
{
	size_t lo = 0, hi = w->plan.npatch;

	while (lo < hi) { /* patches and links are both sorted by address */
		size_t mid = lo + (hi - lo) / 2;
		const struct patch *p = &w->plan.patch[mid];

		if (link < p->link)
			hi = mid;
		else if (link >= p->link + p->nlink)
			lo = mid + 1;
		else
			return p;
	}
	for (size_t i = 0; i < w->plan.nrefusal; i++)
		if (w->plan.refusal[i].link == link)
			*why = w->plan.refusal[i].why;
	return NULL;
}
