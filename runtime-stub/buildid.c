/* SPDX-License-Identifier: MIT */
/* buildid.c - of which file, and where in it, an address is: a build id and an
 * offset, as stack_map_get_build_id_offset() in kernel/bpf/stackmap.c gives
 * them.
 *
 * An address is in the first mapping that ends behind it, as for the kernel.
 * One that nothing is known of, as in the vDSO or where there is no /proc,
 * remains an address: BPF_STACK_BUILD_ID_IP.  The kernel looks for the ELF
 * header in the file itself, so it also has the build ids of files whose first
 * page is not mapped.
 */
#include <linux/bpf.h>

#include "runtime-stub/mappings.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/walk.h"

struct search {
	struct bpf_stack_build_id *at;
	uint32_t n, left;
	struct mapped_file file;
};

static bool see(void *arg, const struct mapping *m)
{
	struct search *s = arg;

	mapped_follow(&s->file, m);
	for (uint32_t i = 0; i < s->n; i++) {
		struct bpf_stack_build_id *b = &s->at[i];

		if (b->status != BPF_STACK_BUILD_ID_EMPTY || b->ip >= m->end)
			continue;
		b->status = BPF_STACK_BUILD_ID_IP;
		s->left--;
		if (!mapped_id(&s->file, m))
			continue;
		b->status = BPF_STACK_BUILD_ID_VALID;
		mem_copy(b->build_id, s->file.id, BUILD_ID);
		b->offset = m->offset + b->ip - m->start;
	}
	return s->left;
}

void chain_build_ids(struct bpf_stack_build_id *at, uint32_t n)
{
	struct search s = { .at = at, .n = n, .left = n };

	for (uint32_t i = 0; i < n; i++) {
		at[i].status = BPF_STACK_BUILD_ID_EMPTY;
		mem_zero(at[i].build_id, BUILD_ID);
	}
	if (n)
		mappings_each(see, &s, NULL, 0);
	for (uint32_t i = 0; i < n; i++)
		if (at[i].status == BPF_STACK_BUILD_ID_EMPTY)
			at[i].status = BPF_STACK_BUILD_ID_IP;
}
