/* SPDX-License-Identifier: MIT */
/* dump.c - one printer a stage. */
#include <inttypes.h>
#include <string.h>

#include "elf/text.h"
#include "rewriter/dump.h"
#include "rewriter/output.h"

static void dump_sites(const struct weld *w)
{
	for (size_t i = 0; i < w->sites.nfunc; i++) {
		const struct func *f = &w->sites.func[i];

		say("0x%" PRIx64 " %" PRIu64 " %s%s\n", f->addr, f->size,
		    f->name, f->fragment ? " (fragment)" : "");
	}
}

static void dump_bpf(const struct weld *w)
{
	for (uint32_t i = 0; i < w->set.nmap; i++) {
		const struct bpf_map_def *m = &w->set.map[i];

		say("map %u %s type %u key %u value %u max %u\n", i, m->name,
		    m->type, m->key_size, m->value_size, m->max_entries);
	}
	for (uint32_t i = 0; i < w->set.nprog; i++) {
		const struct bpf_prog *p = &w->set.prog[i];

		say("program %u %s SEC(\"%s\") %u insns, %u bytes of stack\n",
		    i, p->name, p->section, p->ninsn, p->stack);
		for (uint32_t k = 0; k < p->ninsn; k++)
			say("%5u: %02x %x %x %6d %d\n", k, p->insn[k].code,
			    p->insn[k].dst_reg, p->insn[k].src_reg,
			    p->insn[k].off, p->insn[k].imm);
	}
}

static void dump_links(const struct weld *w)
{
	for (size_t i = 0; i < w->links.nlink; i++) {
		const struct link *l = &w->links.link[i];

		say("0x%" PRIx64 " %s+0x%" PRIx64 " %s cookie %" PRIu64 "\n",
		    l->addr, l->func->name, l->offset,
		    w->set.prog[l->prog].name, l->cookie);
	}
}

static void dump_point(const struct patch *p, const struct point *x)
{
	static const char *const kinds[] = {
		[POINT_REACHED] = "reached", [POINT_ENTERED] = "entered",
		[POINT_LEFT] = "left",       [POINT_RETURN] = "return",
		[POINT_NOP5] = "nop5",
	};

	say("  0x%" PRIx64 " %s, links %u to %u, live 0x%x%s\n",
	    p->insn[x->before].at, kinds[x->kind], x->link,
	    x->link + x->nlink - 1, x->live.regs,
	    x->live.flags ? " flags" : "");
}

static void dump_plan(const struct weld *w)
{
	for (size_t i = 0; i < w->plan.npatch; i++) {
		const struct patch *p = &w->plan.patch[i];

		say("0x%" PRIx64 " %u bytes, %u insns, %s, %s\n", p->at, p->len,
		    p->ninsn, tactic_name(p->tactic), p->func->name);
		for (size_t k = 0; k < p->npoint; k++)
			dump_point(p, &p->point[k]);
	}
	for (size_t i = 0; i < w->plan.nrefusal; i++) {
		const struct refusal *r = &w->plan.refusal[i];

		say("0x%" PRIx64 " %s\n", w->links.link[r->link].addr, r->why);
	}
}

static void dump_region(const struct weld *w)
{
	const struct region *r = &w->region;

	say("size %" PRIu64 " gates 0x%" PRIx64 " maps 0x%" PRIx64
	    " counts 0x%" PRIx64 " trace 0x%" PRIx64 "\n",
	    r->size, r->gates, r->maps, r->counts, r->trace);
	for (uint32_t i = 0; i < r->nmap; i++)
		say("map %s at 0x%" PRIx64 ", %" PRIu64 " bytes%s\n",
		    r->map[i].name, r->map[i].data, r->map[i].size,
		    r->map[i].pinned ? ", pinned" : "");
}

/* As objdump would show them. */
static void dump_insns(const struct weld *w, const char *name, uint64_t at,
		       uint64_t size)
{
	uint64_t end = at + size;
	struct insn insn;
	char text[128];

	say("%s:\n", name);
	for (; at < end; at += insn.len) {
		const uint8_t *b = w->rx.p + (at - w->rx.vaddr);

		if (!insn_decode(b, end - at, at, &insn))
			break;
		insn_print(b, end - at, at, text, sizeof(text));
		say("  0x%" PRIx64 ": %s\n", at, text);
	}
}

/* Each trampoline. */
static void dump_code(const struct weld *w)
{
	struct arena a = { 0 };

	for (size_t i = 0; i < w->plan.npatch; i++) {
		const struct patch *p = &w->plan.patch[i];

		dump_insns(w, trampoline_name(&a, p->func->name), p->tramp,
			   p->tramp_size);
	}
	for (size_t i = 0; i < w->plan.nlate; i++) {
		const struct late *l = &w->plan.late[i];
		const char *name = trampoline_name(&a, l->body->func->name);

		dump_insns(w, arena_printf(&a, "%s.return", name), l->code,
			   l->size);
	}
	arena_free(&a);
}

static const struct {
	const char *name;
	void (*print)(const struct weld *w);
} stages[] = {
	{ "sites", dump_sites }, { "bpf", dump_bpf },
	{ "links", dump_links }, { "plan", dump_plan },
	{ "region", dump_region }, { "code", dump_code },
};

int dump_stage(const struct weld *w, const char *stage, struct err *e)
{
	if (!stage)
		return 0;
	for (size_t i = 0; i < sizeof(stages) / sizeof(*stages); i++)
		if (strcmp(stages[i].name, stage) == 0) {
			stages[i].print(w);
			return 0;
		}
	return misuse(e, "--dump=%s: no such stage (sites, bpf, links, plan, "
			 "region, code)", stage);
}
