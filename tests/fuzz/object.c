/* SPDX-License-Identifier: MIT */
/* bpf_load on any bytes: an error or a set, never a crash, hang or leak.
 * Good first inputs are the build's obj/NAME.bpf.o.
 */
#include "rewriter/bpf/bpf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bpf_input in = { "fuzz.bpf.o", { data, size } };
	struct arena a = { 0 };
	struct bpf_set set = { 0 };
	struct err e;

	bpf_load_bytes(&a, &in, 1, NULL, 0, &set, &e);
	bpf_unload(&set);
	arena_free(&a);
	return 0;
}
