/* SPDX-License-Identifier: MIT */
/* weld.c - the pipeline.
 *
 *   elf_read     target file -> image
 *   sites_find   image -> every place a probe can go
 *   bpf_load     objects -> programs, maps, globals
 *   bind         SEC() names and -p options x sites -> links
 *   usdt         links with arguments -> programs made for them
 *   verify       programs in their context -> facts
 *   plan         links -> patches; nothing written yet
 *   layout       maps and probes -> the shared region; RX and RW get addresses
 *   generate     stub, programs, trampolines, unwind tables -> RX
 *   emit         image + edits -> new file, atomically
 *
 * Data flows one way; each stage's product is a field of struct weld.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "elf/dynamic.h"
#include "rewriter/verify/verify.h"
#include "rewriter/dump.h"
#include "rewriter/fault.h"
#include "rewriter/generate.h"
#include "rewriter/guards.h"
#include "rewriter/output.h"
#include "rewriter/usdt/usdt.h"
#include "rewriter/weld.h"
#include "runtime-stub/reader/manifest.h"

enum {
	NOTED_MIB = 16
};

static int same_file(const char *a, const char *b)
{
	char pa[4096], pb[4096];

	return realpath(a, pa) && realpath(b, pb) && strcmp(pa, pb) == 0;
}

int target_read(struct arena *a, const char *path, bool to_list,
		struct image *img, struct err *e)
{
	int bad = image_read(a, path, img, e);
	struct manifest m;
	struct err why;

	if (!bad || e->kind != ERR_UNSUPPORTED ||
	    manifest_read(a, path, &m, NULL, &why) || m.nobject)
		return bad;
	if (to_list)
		return image_read_welded(a, path, img, e);
	return refuse(e, path, NOWHERE,
		      "already welded, by --usdt-nop5, for the kernel's probes; "
		      "for programs, check and weld the original, or unweld "
		      "this first");
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

static bool has_text_relocations(const struct image *img)
{
	uint64_t v;

	return dynamic_get(img, DT_TEXTREL, &v) ||
	       (dynamic_get(img, DT_FLAGS, &v) && (v & DF_TEXTREL));
}

int trap_check(const struct weld_options *opt, const struct image *img,
	       struct err *e)
{
	const char *why = opt->allow_trap ? trap_refusal(img) : NULL;

	return why ? refuse(e, img->path, NOWHERE, "--allow-trap: %s", why) : 0;
}

static int target_check(const struct weld_options *opt, const struct image *img,
			struct err *e)
{
	if ((img->mode & (S_ISUID | S_ISGID)) && !opt->allow_setuid)
		return refuse(e, img->path, NOWHERE,
			      "is setuid or setgid; --allow-setuid welds it "
			      "all the same");
	if (opt->go_once && !img->go)
		return misuse(e, "--go-once: %s is no Go program", img->path);
	if (has_text_relocations(img))
		return refuse(e, img->path, NOWHERE,
			      "has text relocations: the loader would write "
			      "into patches");
	return trap_check(opt, img, e);
}

static void maps_unpin(struct bpf_set *set)
{
	for (uint32_t i = 0; i < set->nmap; i++)
		set->map[i].pinned = false;
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
		w->probe_of[i] = w->plan.why[i] ? UINT32_MAX : w->nprobe++;
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
	if (opt->go_once)
		identity_add(&id, "go-once", strlen("go-once"));
	identity_add(&id, &opt->cpus, sizeof(opt->cpus));
	if (opt->no_pin)
		identity_add(&id, "no-pin", strlen("no-pin"));
	if (opt->allow_trap)
		identity_add(&id, "allow-trap", strlen("allow-trap"));
	identity_add(&id, &opt->engine, sizeof(opt->engine));
	identity_add(&id, &opt->usdt_nop5, sizeof(opt->usdt_nop5));
	identity_add(&id, &w->fault, sizeof(w->fault));
	identity_add(&id, BPFWELD_VERSION, sizeof(BPFWELD_VERSION));
	identity_end(&id, w->weld_id);
}

/* Programs are all that is wrong, and nothing will be welded: what the others
 * would come to is to be said as well. */
static void rest_judge(struct weld *w, const struct weld_options *opt)
{
	struct arena *a = &w->arena;
	struct err e;

	bind_rest(a, &w->sites, &w->set, opt->probe, opt->nprobe, &w->links);
	if (!usdt_programs(a, &w->img, &w->set, &w->links, &e) &&
	    !override_links(a, &w->set, &w->links, &e))
		verify_all(a, &w->set, &w->links, &w->facts, opt->log,
			   &w->judged, &e);
}

/* What is to stand where, and what that needs. */
static int links_make(struct weld *w, const struct weld_options *opt,
		      struct err *e)
{
	struct arena *a = &w->arena;

	if (opt->usdt_nop5)
		return nop5_links(a, &w->sites, &w->set, &w->links, &w->facts,
				  e);
	w->set.cpus = opt->cpus;
	w->set.without =
		bind_without(a, opt->probe, opt->nprobe, &w->set.nwithout);
	if (bpf_load(a, opt->object, opt->nobject, opt->set, opt->nset, &w->set,
		     e)) {
		if (w->set.rest)
			rest_judge(w, opt);
		return -1;
	}
	if (bind_links(a, &w->sites, &w->set, opt->probe, opt->nprobe,
		       &w->links, e) ||
	    usdt_programs(a, &w->img, &w->set, &w->links, e) ||
	    links_keep(w, opt, e) ||
	    override_links(a, &w->set, &w->links, e) ||
	    verify_all(a, &w->set, &w->links, &w->facts, opt->log, &w->judged,
		       e))
		return -1;
	maps_spare(&w->set, w->facts);
	return 0;
}

/* A file that stands at fixed addresses may map memory at others, behind it, and
 * only its author knows: where the weld takes much of them, say so. */
static void addresses_note(struct weld *w)
{
	uint64_t from = w->room.rx_vaddr;
	uint64_t to = emit_rw_vaddr(&w->room, w->rx.n) + w->edits.rw_memsz;

	if (w->img.type != ET_EXEC || to - from <= NOTED_MIB << 20)
		return;
	bpf_note(&w->arena, &w->set,
		 arena_printf(&w->arena,
			      "%s: not position-independent, and the weld adds "
			      "%" PRIu64 " MiB at 0x%" PRIx64 "-0x%" PRIx64
			      ": if it maps memory there itself (MAP_FIXED), "
			      "make the maps smaller, or link it with -pie",
			      w->img.path, (to - from) >> 20, from, to));
}

int weld(struct weld *w, const struct weld_options *opt, struct err *e)
{
	struct arena *a = &w->arena;
	int bad;

	bad = options_check(opt, e) ||
	      target_read(a, opt->target, false, &w->img, e) ||
	      target_check(opt, &w->img, e) ||
	      emit_plan(a, &w->img, &w->room, e) ||
	      sites_find(a, &w->img, &w->sites, e) || links_make(w, opt, e);
	/* Beyond this point the inputs are good; only room can run out. */
	w->sites.go_once = opt->go_once;
	w->sites.allow_trap = opt->allow_trap;
	w->sites.frame_table = w->room.frame_table;
	if (opt->no_pin)
		maps_unpin(&w->set);
	bad = bad || plan_make(a, &w->sites, &w->links, &w->plan, e) ||
	      probes_number(w, opt, e) || guards_strict(w, opt, e) ||
	      fault_choose(w, opt, e);
	if (!bad)
		weld_name(w, opt);
	bad = bad ||
	      region_plan(a, &w->set, w->nprobe,
			  opt->cpus ? opt->cpus : REGION_CPUS, w->weld_id,
			  &w->region, e) ||
	      generate(w, opt, e);
	bad = bad || output_edits(w, opt, e);
	/* Beyond this point every address is fixed. */
	if (!bad) {
		code_resolve(&w->rx, emit_rw_vaddr(&w->room, w->rx.n));
		fault_write(w);
		addresses_note(w);
	}
	bad = bad || dump_stage(w, opt->dump, e);
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
