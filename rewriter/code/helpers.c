/* SPDX-License-Identifier: MIT */
/* helpers.c - helpers.def as the compiler reads it. */
#include "rewriter/code/known.h"
#include "runtime-stub/cpu.h"

static const struct helper helpers[256] = {
#define HELPER(id, name, ret, a1, a2, a3, a4, a5)                              \
	[id] = { #name, { ARG_##a1, ARG_##a2, ARG_##a3, ARG_##a4, ARG_##a5 } },
#include "runtime-stub/helpers.def"
};

const struct helper *helper_find(uint32_t id)
{
	return id < 256 && helpers[id].name ? &helpers[id] : NULL;
}

const char *helper_name(uint32_t id)
{
	const struct helper *h = helper_find(id);

	return h ? h->name : NULL;
}

bool helper_runs(uint32_t id, int map_type)
{
	switch (id) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_update_elem:
	case BPF_FUNC_map_lookup_percpu_elem:
		return map_type == MAP_UNKNOWN || map_is_percpu(map_type);
	}
	return false;
}

static void add(uint64_t ids[4], int32_t id)
{
	if (helper_find((uint32_t)id))
		ids[id / 64] |= UINT64_C(1) << (id % 64);
}

static void add_compiled(const struct bpf_set *set, const struct bpf_prog *p,
			 uint32_t sub, uint64_t ids[4])
{
	struct arena a = { 0 };
	struct known f;
	struct err e;

	/* The function form keeps all that the inline form keeps. */
	if (!known_make(&a, set, p, sub, FORM_FUNCTION, &f, &e))
		for (uint32_t i = f.from; i < f.to; i++)
			if (!f.fact[i - f.from].gone &&
			    call_remains(f.fact[i - f.from].call) &&
			    p->insn[i].code == (BPF_JMP | BPF_CALL) &&
			    !p->insn[i].src_reg)
				add(ids, p->insn[i].imm);
	arena_free(&a);
}

void code_helpers(const struct bpf_set *set, const struct bpf_prog *p, bool vm,
		  uint64_t ids[4])
{
	if (!vm) {
		for (uint32_t k = 0; k < p->nsub; k++)
			add_compiled(set, p, k, ids);
		return;
	}
	for (uint32_t i = 0; i < p->ninsn; i++) {
		if (p->insn[i].code == (BPF_JMP | BPF_CALL) &&
		    !p->insn[i].src_reg)
			add(ids, p->insn[i].imm);
		i += insn_is_lddw(&p->insn[i]);
	}
}
