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

bool helper_calls_back(uint32_t id)
{
	const struct helper *h = helper_find(id);

	return h && h->arg[1] == ARG_CALLBACK;
}

bool helper_runs(uint32_t id, int map_type)
{
	switch (id) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_update_elem:
	case BPF_FUNC_map_lookup_percpu_elem:
	case BPF_FUNC_for_each_map_elem:
		return map_type == MAP_UNKNOWN || map_is_percpu(map_type);
	}
	return helper_signals(id) || helper_faults(id);
}

bool helper_faults(uint32_t id)
{
	switch (id) {
	case BPF_FUNC_probe_read:
	case BPF_FUNC_probe_read_str:
	case BPF_FUNC_probe_read_user:
	case BPF_FUNC_probe_read_user_str:
	case BPF_FUNC_probe_read_kernel:
	case BPF_FUNC_probe_read_kernel_str:
	case BPF_FUNC_copy_from_user:
	case BPF_FUNC_probe_write_user:
	case BPF_FUNC_trace_printk:
	case BPF_FUNC_trace_vprintk:
	case BPF_FUNC_snprintf:
	case BPF_FUNC_get_stack:
	case BPF_FUNC_get_stackid:
		return true;
	}
	return false;
}

bool helper_signals(uint32_t id)
{
	return id == BPF_FUNC_send_signal || id == BPF_FUNC_send_signal_thread;
}

/* Types of maps for which the stub has functions of their own. */
static const char *type_name(uint32_t id, int type)
{
	switch (id) {
	case BPF_FUNC_map_lookup_elem:
	case BPF_FUNC_map_update_elem:
	case BPF_FUNC_map_delete_elem:
		switch (type) {
#define KEYED(type, ...)                                                       \
	case BPF_MAP_TYPE_##type:                                              \
		return #type;
#include "runtime-stub/maps.def"
		}
		break;
	case BPF_FUNC_map_push_elem:
	case BPF_FUNC_map_pop_elem:
	case BPF_FUNC_map_peek_elem:
		switch (type) {
#define QUEUED(type, ...)                                                      \
	case BPF_MAP_TYPE_##type:                                              \
		return #type;
#include "runtime-stub/maps.def"
		}
	}
	return NULL;
}

bool helper_symbol(uint32_t id, int map_type, bool put, char symbol[64])
{
	const char *name = helper_name(id), *type = type_name(id, map_type);

	if (!name)
		return false;
	if (put)
		name = "map_put_elem";
	snprintf(symbol, 64, "helper_%s%s%s", name, type ? "_" : "",
		 type ? type : "");
	return true;
}

static void add_name(struct arena *a, struct code_names *to, const char *name)
{
	for (size_t i = 0; i < to->n; i++)
		if (!strcmp(to->v[i], name))
			return;
	to->v = arena_push(a, to->v, to->n, sizeof(*to->v));
	to->v[to->n++] = arena_strdup(a, name);
}

static void add(struct arena *a, struct code_names *to, uint32_t id, int type,
		bool put)
{
	char symbol[64];

	if (helper_symbol(id, type, put, symbol))
		add_name(a, to, symbol);
	if (helper_signals(id))
		add_name(a, to, "weld_run_signals");
}

int insn_map_type(const struct known *f, const struct insn_fact *k)
{
	return k->map_known ? (int)f->set->map[k->map].type : MAP_UNKNOWN;
}

static void add_compiled(struct arena *a, const struct bpf_set *set,
			 const struct bpf_prog *p, uint32_t sub,
			 struct code_names *to)
{
	struct arena own = { 0 };
	struct known f;
	struct err e;

	/* The function form keeps all that the inline form keeps. */
	if (!known_make(&own, set, p, sub, FORM_FUNCTION, &f, &e))
		for (uint32_t i = f.from; i < f.to; i++) {
			const struct insn_fact *k = &f.fact[i - f.from];

			if (!k->gone && insn_is_task_load(&p->insn[i]))
				add_name(a, to, "weld_task_load");
			if (!k->gone && call_remains(k->call) &&
			    p->insn[i].code == (BPF_JMP | BPF_CALL) &&
			    !p->insn[i].src_reg)
				add(a, to, (uint32_t)p->insn[i].imm,
				    insn_map_type(&f, k), k->put);
		}
	arena_free(&own);
}

void code_helpers(struct arena *a, const struct bpf_set *set,
		  const struct bpf_prog *p, bool vm, struct code_names *to)
{
	if (!vm) {
		for (uint32_t k = 0; k < p->nsub; k++)
			add_compiled(a, set, p, k, to);
		return;
	}
	for (uint32_t i = 0; i < p->ninsn; i++) {
		if (p->insn[i].code == (BPF_JMP | BPF_CALL) &&
		    !p->insn[i].src_reg)
			add(a, to, (uint32_t)p->insn[i].imm, MAP_UNKNOWN,
			    false);
		i += insn_is_lddw(&p->insn[i]);
	}
}
