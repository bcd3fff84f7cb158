/* SPDX-License-Identifier: MIT */
/* Any bytes as the manifest of a welded file: whatever is accepted can be
 * packed again, and its objects' types printed. */
#include "elf/deflate.h"
#include "runtime-stub/reader/manifest.h"
#include "runtime-stub/reader/typed.h"

static void types_print(const struct manifest *m)
{
	static uint8_t value[256];
	FILE *to = fopen("/dev/null", "w");

	for (size_t i = 0; i < m->nobject; i++) {
		struct btf *btf = typed_open(m->object[i].btf);

		for (uint32_t type = 0; btf && type < 32; type++) {
			struct json j = json_to(to, true);

			typed_json(&j, btf, type,
				   (struct bytes){ value, sizeof(value) });
		}
		typed_close(btf);
	}
	fclose(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct manifest m, again;
	struct bytes inflated;
	struct err e;

	if (manifest_parse(&a, "fuzz", (struct bytes){ data, size }, &m, &e) ==
	    0) {
		if (manifest_parse(&a, "fuzz", manifest_pack(&a, &m), &again,
				   &e))
			__builtin_trap();
		for (size_t i = 0; i < m.nprobe; i++)
			manifest_original(&m, &m.probe[i]);
		types_print(&m);
	}
	inflate_bytes(&a, (struct bytes){ data, size }, &inflated);
	arena_free(&a);
	return 0;
}
