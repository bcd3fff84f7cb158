/* SPDX-License-Identifier: MIT */
/* Any bytes as .note.stapsdt of a file with a page of code: what is read of
 * them is in the file, and each probe's arguments are an operand or an error.
 */
#include <stdlib.h>

#include "elf/buf.h"
#include "elf/note.h"
#include "rewriter/usdt/argspec.h"

enum {
	CODE = 0x1000,
	BASE = 0x3000
};

static struct image image_of(struct arena *a, const uint8_t *data, size_t size)
{
	struct buf file = { .a = a };
	struct image img = { .path = "fuzz" };

	buf_room(&file, CODE);
	buf_put(&file, data, size);
	img.file = (struct bytes){ file.p, file.n };
	img.nseg = 1;
	img.seg = arena_alloc(a, sizeof(*img.seg));
	img.seg[0] = (struct segment){ .type = PT_LOAD,
				       .flags = PF_R | PF_X,
				       .vaddr = CODE,
				       .filesz = CODE,
				       .memsz = CODE };
	img.nsec = 3;
	img.sec = arena_alloc(a, 3 * sizeof(*img.sec));
	img.sec[1] = (struct section){ .name = ".note.stapsdt",
				       .type = SHT_NOTE,
				       .off = CODE,
				       .size = size };
	img.sec[2] = (struct section){ .name = ".stapsdt.base",
				       .type = SHT_PROGBITS,
				       .addr = BASE };
	return img;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct image img = image_of(&a, data, size);
	struct argspec spec;
	struct sdt_note *v;
	struct err e;
	size_t n;

	if (!sdt_notes_read(&a, &img, &v, &n, &e))
		for (size_t i = 0; i < n; i++) {
			check(image_is_code(&img, v[i].addr));
			check(*v[i].provider && *v[i].name);
			check(v[i].at + 8 <= img.file.n);
			argspec_parse(&a, &img, v[i].args, &spec);
		}
	arena_free(&a);
	return 0;
}
