/* SPDX-License-Identifier: MIT */
/* output.c - names and notes for what was generated.
 *
 * The manifest makes the welded file self-sufficient: info, map and unweld
 * need nothing else.  It is a section of the RX segment because that is what
 * every strip tool leaves alone; nothing touches its pages at run time.
 */
#include <assert.h>
#include <bpf/btf.h>
#include <stdlib.h>

#include "elf/deflate.h"
#include "elf/lines.h"
#include "rewriter/fault.h"
#include "rewriter/output.h"
#include "rewriter/usdt/usdt.h"
#include "runtime-stub/reader/manifest.h"
#include "runtime-stub/refs.h"

void identity_start(struct identity *id)
{
	id->state = XXH3_createState();
	assert(id->state);
	XXH3_128bits_reset(id->state);
}

void identity_add(struct identity *id, const void *p, size_t n)
{
	uint64_t len = n;

	XXH3_128bits_update(id->state, &len, sizeof(len));
	XXH3_128bits_update(id->state, p, n);
}

void identity_end(struct identity *id, uint8_t out[16])
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(id->state));
	memcpy(out, c.digest, 16);
	XXH3_freeState(id->state);
}

static void section_add(struct weld *w, struct new_section s)
{
	struct new_section *v = arena_push(
		&w->arena, (void *)w->edits.sec, w->edits.nsec, sizeof(*v));

	if (s.size == 0 && s.in != NOT_LOADED)
		return;
	v[w->edits.nsec++] = s;
	w->edits.sec = v;
}

static void symbol_add(struct weld *w, struct new_symbol s)
{
	struct new_symbol *v = arena_push(
		&w->arena, (void *)w->edits.sym, w->edits.nsym, sizeof(*v));

	v[w->edits.nsym++] = s;
	w->edits.sym = v;
}

/* Left as it is where it is small, for those who read it as it lies there. */
static void debug_frame_section(struct weld *w)
{
	struct new_section s = { .name = ".debug_frame", .in = NOT_LOADED,
				 .type = SHT_PROGBITS, .align = 8,
				 .content = w->debug_frame };

	if (w->dense) {
		s.content = deflate_bytes(&w->arena, s.content, s.align);
		s.compressed = true;
	}
	section_add(w, s);
}

static void loaded_sections(struct weld *w)
{
	uint64_t text_end = w->eh_frame_size ? w->eh_frame : w->rx.n;
	uint64_t rw = w->edits.rw_size;

	section_add(w, (struct new_section){
			       .name = ".bpfweld.text", .in = IN_RX,
			       .type = SHT_PROGBITS, .align = 64,
			       .at = align_up(w->room.rx_start, 64),
			       .size = text_end -
				       align_up(w->room.rx_start, 64) });
	section_add(w, (struct new_section){
			       .name = w->eh_frame_hdr ? ".bpfweld.eh_frame"
						       : ".eh_frame",
			       .in = IN_RX,
			       .type = SHT_PROGBITS, .align = 8,
			       .at = w->eh_frame, .size = w->eh_frame_size,
			       .data = true });
	if (w->debug_frame.n)
		debug_frame_section(w);
	section_add(w, (struct new_section){
			       .name = ".bpfweld.data", .in = IN_RW,
			       .type = SHT_PROGBITS, .align = 16,
			       .at = 0, .size = rw });
	section_add(w, (struct new_section){
			       .name = ".bpfweld.bss", .in = IN_BSS,
			       .type = SHT_NOBITS, .align = 16,
			       .at = rw, .size = w->edits.rw_memsz - rw });
}

static void code_symbol(struct weld *w, const char *name, uint64_t vaddr,
			uint64_t size)
{
	symbol_add(w, (struct new_symbol){ .name = name, .in = IN_RX,
					   .at = vaddr - w->rx.vaddr,
					   .size = size, .type = STT_FUNC });
}

const char *trampoline_name(struct arena *a, const char *name)
{
	bool mangled = name[0] == '_' && name[1] && strchr("ZRD", name[1]);

	return arena_printf(a, mangled ? "%s-weld" : "%s.weld", name);
}

static void patch_symbol(struct weld *w, const struct patch *p)
{
	uint64_t off = (p->npoint ? p->point[0].site : p->at) - p->func->addr;
	const char *name = trampoline_name(&w->arena, p->func->name);

	if (!p->tramp) /* changed where it is */
		return;
	if (off)
		name = arena_printf(&w->arena, "%s+0x%llx", name,
				    (unsigned long long)off);
	code_symbol(w, name, p->tramp, p->tramp_size);
}

static void late_symbol(struct weld *w, const struct late *l)
{
	const char *name = trampoline_name(&w->arena, l->body->func->name);

	code_symbol(w, arena_printf(&w->arena, "%s.return", name), l->code,
		    l->size);
}

/* From one piece of code to the end of another. */
static void run_symbol(struct weld *w, const char *name, uint64_t start,
		       uint64_t last, uint64_t size)
{
	code_symbol(w, name, start, last + size - start);
}

/* 44 bytes and more for each would be half of what the file grows by. */
static void dense_symbols(struct weld *w)
{
	const struct patch *p = w->plan.patch;
	const struct late *l = w->plan.late;
	size_t n = w->plan.npatch, nlate = w->plan.nlate;

	run_symbol(w, "bpfweld.sites", p->tramp, p[n - 1].tramp,
		   p[n - 1].tramp_size);
	if (nlate)
		run_symbol(w, "bpfweld.returns", l->code, l[nlate - 1].code,
			   l[nlate - 1].size);
}

static void code_symbols(struct weld *w)
{
	for (uint32_t p = 0; p < w->set.nprog; p++)
		if (w->func_of[p])
			symbol_add(w, (struct new_symbol){
					      .name = arena_printf(
						      &w->arena, "%s.bpf",
						      w->set.prog[p].name),
					      .in = IN_RX,
					      .at = w->func_of[p] -
						    w->rx.vaddr,
					      .type = STT_FUNC });
	if (w->built.pads) /* one name: there are thousands */
		code_symbol(w, "bpfweld.pads", w->built.pads,
			    w->built.pads_size);
	if (w->dense) {
		dense_symbols(w);
		return;
	}
	for (size_t i = 0; i < w->plan.npatch; i++)
		patch_symbol(w, &w->plan.patch[i]);
	for (size_t i = 0; i < w->plan.nlate; i++)
		late_symbol(w, &w->plan.late[i]);
}

static void manifest_objects(struct weld *w, struct manifest *m)
{
	m->nobject = w->set.nobject;
	m->object = arena_alloc(&w->arena, m->nobject * sizeof(*m->object));
	for (size_t i = 0; i < m->nobject; i++) {
		const struct bpf_object_file *o = &w->set.object[i];
		uint32_t size = 0;
		const void *btf = o->btf ? btf__raw_data(o->btf, &size) : NULL;

		m->object[i] = (struct manifest_object){
			.name = o->name,
			.path = o->path,
			.bytes = o->bytes,
			.btf = { btf, size },
		};
	}
}

static void manifest_maps(struct weld *w, struct manifest *m)
{
	m->nmap = w->set.nmap;
	m->map = arena_alloc(&w->arena, (m->nmap + 1) * sizeof(*m->map));
	for (size_t i = 0; i < m->nmap; i++) {
		const struct bpf_map_def *d = &w->set.map[i];

		m->map[i] = (struct manifest_map){
			.map = w->region.map[i], .name = d->name,
			.object = d->object, .btf_key = d->btf_key,
			.btf_value = d->btf_value, .data = d->data,
		};
	}
}

static void manifest_progs(struct weld *w, struct manifest *m)
{
	bool any = false;

	for (uint32_t i = 0; i < w->set.nmap; i++)
		any |= map_has_progs(w->set.map[i].type);
	m->nprog = any ? w->set.nprog : 0;
	m->prog = arena_alloc(&w->arena, (m->nprog + 1) * sizeof(*m->prog));
	for (size_t i = 0; i < m->nprog; i++)
		m->prog[i].name = w->set.prog[i].name;
}

/* What kind of probe: of a USDT probe, with its name. */
static const char *probe_kind(struct arena *a, const struct link *l)
{
	if (l->note)
		return arena_printf(a, "usdt:%s:%s", l->note->provider,
				    l->note->name);
	return l->when == WHEN_RETURNED ? "uretprobe" : "uprobe";
}

/* "fn_ADDRESS" is not stored. */
static const char *stored_name(struct weld *w, const struct func *f)
{
	const char *made = arena_printf(&w->arena, "fn_%llx",
					(unsigned long long)f->addr);

	return strcmp(f->name, made) ? f->name : "";
}

/* What is said of a return probe's patches is about the first of them. */
static void manifest_probe(struct weld *w, uint32_t link,
			   struct manifest_probe *out)
{
	const struct link *l = &w->links.link[link];
	const struct patch *p;
	size_t first, n = plan_places(&w->plan, link, &first);

	*out = (struct manifest_probe){
		.prog = w->set.prog[l->prog].name,
		.kind = probe_kind(&w->arena, l),
		.func = stored_name(w, l->func),
		.addr = l->addr,
		.offset = l->offset,
		.tactic = tactic_name(TACTIC_NONE),
	};
	if (!n)
		return; /* a function that never returns */
	p = &w->plan.patch[w->plan.place[first].patch];
	out->patch = (int64_t)(p->at - l->addr);
	out->patch_len = p->len;
	out->tramp = p->tramp;
	out->bias = p->at - image_offset(&w->img, p->at);
	out->tactic = tactic_name(p->tactic);
}

static void manifest_probes(struct weld *w, struct manifest *m)
{
	m->nprobe = w->nprobe;
	m->probe = arena_alloc(&w->arena, m->nprobe * sizeof(*m->probe));
	for (uint32_t i = 0; i < w->links.nlink; i++)
		if (w->probe_of[i] != UINT32_MAX)
			manifest_probe(w, i, &m->probe[w->probe_of[i]]);
}

/* Last in RX: its size depends on all that stands before it. */
static int manifest_place(struct weld *w, const struct weld_options *opt,
			struct err *e)
{
	struct manifest m = {
		.tool = "bpfweld " BPFWELD_VERSION,
		.target = opt->target,
		.engine = opt->engine == ENGINE_VM ? "vm" : "native",
		.fault = w->faults ? fault_name(w->fault) : "",
		.fault_why = w->faults ? w->fault_why : "",
		.original_size = w->img.file.n,
		.region_size = w->region.size,
	};
	struct bytes packed;

	memcpy(m.weld_id, w->weld_id, sizeof(m.weld_id));
	content_hash(w->img.file, m.original_hash);
	if (emit_saved(&w->arena, &w->img, &w->room, &w->edits, &m.saved,
		       &m.nsaved, e))
		return -1;
	manifest_objects(w, &m);
	manifest_maps(w, &m);
	manifest_progs(w, &m);
	manifest_probes(w, &m);
	packed = deflate_bytes(&w->arena, manifest_pack(&w->arena, &m), 8);
	code_align(&w->rx, 8, 0);
	section_add(w, (struct new_section){ .name = ".bpfweld.manifest",
					     .in = IN_RX,
					     .data = true,
					     .type = SHT_PROGBITS,
					     .align = 8,
					     .at = w->rx.n,
					     .size = packed.n });
	code_bytes(&w->rx, packed.p, packed.n);
	return 0;
}

/* A stub without initialised data has only bss; older kernels mishandle a
 * segment with nothing in the file, so its first bytes are written out. */
static void rw_fill(struct weld *w)
{
	static const uint8_t zeroes[16];

	w->edits.rw = w->stub.data.n ? w->stub.data.p : zeroes;
	w->edits.rw_size = w->stub.data.n ? w->stub.data.n : sizeof(zeroes);
}

static int by_vaddr(const void *x, const void *y)
{
	const struct edit *a = x, *b = y;

	return (a->vaddr > b->vaddr) - (a->vaddr < b->vaddr);
}

/* Patches, and the semaphores that they switch on. */
static void loaded_edits(struct weld *w)
{
	struct semaphore *sema;
	size_t n = w->built.nedit;
	size_t nsema = semaphores(&w->arena, &w->img, &w->links, w->probe_of,
				  &sema);
	struct edit *v = arena_alloc(&w->arena, (n + nsema + 1) * sizeof(*v));

	if (n)
		memcpy(v, w->built.edit, n * sizeof(*v));
	for (size_t i = 0; i < nsema; i++)
		v[n + i] = (struct edit){ sema[i].addr,
					  (const uint8_t *)&sema[i].value,
					  sizeof(sema[i].value) };
	if (nsema)
		qsort(v, n + nsema, sizeof(*v), by_vaddr);
	w->edits.edit = v;
	w->edits.nedit = n + nsema;
}

/* What debuggers know of patched addresses, and tracers of sites. */
static void unloaded_edits(struct weld *w)
{
	size_t n = w->plan.npatch, nedit;
	struct line_range *r = arena_alloc(&w->arena, (n + 1) * sizeof(*r));
	struct raw_edit *edit, *note, *v;
	size_t nnote = nop5_notes(&w->arena, &w->links, &w->plan, &note);

	for (size_t i = 0; i < n; i++) {
		const struct patch *p = &w->plan.patch[i];

		r[i] = (struct line_range){ p->at, p->at + p->len };
	}
	lines_move(&w->arena, &w->img, r, n, &edit, &nedit);
	v = arena_alloc(&w->arena, (nedit + nnote + 1) * sizeof(*v));
	if (nedit)
		memcpy(v, edit, nedit * sizeof(*v));
	if (nnote)
		memcpy(v + nedit, note, nnote * sizeof(*v));
	w->edits.raw = v;
	w->edits.nraw = nedit + nnote;
}

int output_edits(struct weld *w, const struct weld_options *opt, struct err *e)
{
	rw_fill(w);
	w->edits.rw_memsz = w->stub.rw_memsz;
	loaded_edits(w);
	w->edits.eh_frame_hdr = w->eh_frame_hdr;
	w->edits.eh_frame_hdr_size = w->eh_frame_hdr_size;
	w->edits.allow_setuid = opt->allow_setuid;
	loaded_sections(w);
	code_symbols(w);
	unloaded_edits(w);
	if (manifest_place(w, opt, e))
		return -1;
	w->edits.rx = w->rx.p;
	w->edits.rx_size = w->rx.n;
	return 0;
}
