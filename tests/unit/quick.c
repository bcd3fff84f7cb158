/* SPDX-License-Identifier: MIT */
/* quick.c - the shortcut decoder says what the library says, or nothing: at
 * every byte of some large files' code, on random bytes, on all opcodes with
 * all ModRMs, and cut off anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "rewriter/site/quick.h"

#include <cmocka.h>

enum { LONGEST = 15, BASE = 0x401000 };

static uint64_t compared, quick;

static void compare(const uint8_t *p, size_t len, uint64_t at)
{
	struct insn fast, slow;

	memset(&fast, 0, sizeof(fast));
	memset(&slow, 0, sizeof(slow));
	compared++;
	if (!insn_quick(p, len, at, &fast))
		return;
	quick++;
	if (insn_decode_slow(p, len, at, &slow) && slow.at == fast.at &&
	    slow.len == fast.len && slow.flow == fast.flow &&
	    slow.cond == fast.cond && slow.rip_off == fast.rip_off &&
	    slow.rel_off == fast.rel_off && slow.rel_size == fast.rel_size &&
	    slow.nop == fast.nop && slow.endbr == fast.endbr &&
	    slow.prefixed == fast.prefixed && slow.target == fast.target)
		return;
	for (size_t i = 0; i < len; i++)
		print_message("%02x ", p[i]);
	fail_msg("quick: %u bytes, flow %u, target %#llx; library: %u, %u, "
		 "%#llx",
		 fast.len, fast.flow, (unsigned long long)fast.target, slow.len,
		 slow.flow, (unsigned long long)slow.target);
}

static void compare_file(const char *path)
{
	struct arena a = { 0 };
	struct image img;
	struct err e;

	if (image_read(&a, path, &img, &e)) {
		print_message("not compared: %s: %s\n", path, e.what);
		arena_free(&a);
		return;
	}
	for (size_t i = 0; i < img.nsec; i++) {
		const struct section *s = &img.sec[i];
		const uint8_t *p = image_at(&img, s->addr, s->size);

		if (strcmp(s->name, ".text") || !p)
			continue;
		for (uint64_t at = 0; at + LONGEST < s->size; at++)
			compare(p + at, LONGEST, s->addr + at);
	}
	image_close(&img);
	arena_free(&a);
}

static void same_in_files(void **state)
{
	(void)state;
	compare_file("/bin/bash");
	compare_file("/usr/lib/x86_64-linux-gnu/libc.so.6");
	compare_file("/proc/self/exe");
	assert_true(quick > compared / 3);
}

static void same_for_all_opcodes(void **state)
{
	static const uint8_t rex[] = { 0, 0x40, 0x41, 0x44, 0x48, 0x4f };
	uint8_t code[LONGEST] = { 0 };

	(void)state;
	for (size_t x = 0; x < sizeof(rex); x++)
		for (int two = 0; two < 2; two++)
			for (uint32_t k = 0; k < 65536; k++) {
				size_t n = 0;

				if (rex[x])
					code[n++] = rex[x];
				if (two)
					code[n++] = 0x0f;
				code[n++] = (uint8_t)k;
				code[n++] = (uint8_t)(k >> 8);
				while (n < LONGEST)
					code[n] = (uint8_t)(0x9d + 37 * n), n++;
				compare(code, LONGEST, BASE);
				code[LONGEST - 10] = 0x25; /* SIB: no base */
				compare(code, LONGEST, BASE);
			}
}

static void same_when_random_or_cut(void **state)
{
	uint8_t code[LONGEST];

	(void)state;
	srand(1);
	for (int i = 0; i < 400000; i++) {
		for (int k = 0; k < LONGEST; k++)
			code[k] = (uint8_t)(rand() >> 8);
		compare(code, 1 + (size_t)rand() % LONGEST, BASE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_in_files),
		cmocka_unit_test(same_for_all_opcodes),
		cmocka_unit_test(same_when_random_or_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
