/* SPDX-License-Identifier: MIT */
/* kfunc.c - kernel functions that have nothing to do with the kernel.
 *
 * A call of one of these becomes that of a helper of ours; all others are
 * refused, or, when they are weak, are not there.  (session.c has two more.)
 */
#include <string.h>

#include "rewriter/bpf/object.h"

static const struct {
	const char *name;
	int32_t helper;
} kfuncs[] = {
	{ "bpf_dynptr_adjust", 243 },
	{ "bpf_dynptr_is_null", 244 },
	{ "bpf_dynptr_is_rdonly", 245 },
	{ "bpf_dynptr_size", 246 },
	{ "bpf_dynptr_clone", 247 },
	{ "bpf_dynptr_slice", 248 },
	{ "bpf_dynptr_copy", 249 },
	{ "bpf_dynptr_memset", 250 },
	{ "bpf_iter_num_new", 252 },
	{ "bpf_iter_num_next", 253 },
	{ "bpf_iter_num_destroy", 254 },
};

static int32_t helper_for(const char *name)
{
	for (size_t i = 0; i < sizeof(kfuncs) / sizeof(*kfuncs); i++)
		if (!strcmp(kfuncs[i].name, name))
			return kfuncs[i].helper;
	return 0;
}

bool kfunc_exists(const char *name)
{
	return helper_for(name);
}

bool kfunc_call(struct bpf_prog *p, struct bpf_insn *insn, const char *name)
{
	int32_t helper = helper_for(name);

	if (!helper)
		return false;
	*insn = (struct bpf_insn){ .code = BPF_JMP | BPF_CALL, .imm = helper };
	p->ours = true;
	return true;
}
