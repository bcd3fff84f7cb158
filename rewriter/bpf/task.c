/* SPDX-License-Identifier: MIT */
/* task.c - loads from a task become TASK_LOADs, as nothing is at the address
 * (runtime-stub/task.h).
 *
 * CO-RE marks the loads that have a record (core.c).  Compilers also add a
 * field's offset first and then load without one, for the bytes of comm: these
 * are found here, by following the pointer.  A word that was on the stack may
 * have been one (flow.h): a TASK_LOAD from another address is a plain load.
 */
#include "rewriter/bpf/flow.h"
#include "rewriter/bpf/object.h"

enum {
	MEMSX = 0x80
};

static int mark(void *prog, uint32_t i, const struct regs *r)
{
	const struct bpf_prog *p = prog;
	struct bpf_insn *insn = &p->insn[i];
	uint8_t mode = BPF_MODE(insn->code);

	if (BPF_CLASS(insn->code) == BPF_LDX &&
	    (mode == BPF_MEM || mode == MEMSX) &&
	    r->r[insn->src_reg].kind == VALUE_TASK)
		insn->code = task_load_of(insn->code);
	return 0;
}

void task_loads(struct arena *a, const struct bpf_set *set, struct bpf_prog *p)
{
	struct flow f;

	if (!bpf_calls(p, BPF_FUNC_get_current_task) &&
	    !bpf_calls(p, BPF_FUNC_get_current_task_btf))
		return;
	flow_run(a, p, set, &f);
	flow_each(p, set, &f, mark, p);
}
