/* SPDX-License-Identifier: MIT */
/* Objects whose .BTF and .BTF.ext are damaged, and nothing else of them: types,
 * CO-RE relocations, lines.  What can still be loaded is verified.  An error or
 * a verdict, never a crash or hang.
 *
 * Good first inputs are the build's obj/NAME.bpf.o.
 */
#include <elf.h>
#include <string.h>

#include "rewriter/bpf/bpf.h"
#include "rewriter/verify/program.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool fits(uint64_t off, uint64_t n, size_t size)
{
	return off <= size && n <= size - off;
}

/* The section of this name; none: no bytes. */
static struct bytes section(const uint8_t *data, size_t size, const char *name)
{
	Elf64_Ehdr eh;
	Elf64_Shdr names, s;

	if (size < sizeof(eh))
		return (struct bytes){ NULL, 0 };
	memcpy(&eh, data, sizeof(eh));
	if (!fits(eh.e_shoff, (uint64_t)eh.e_shnum * sizeof(s), size) ||
	    eh.e_shstrndx >= eh.e_shnum)
		return (struct bytes){ NULL, 0 };
	memcpy(&names, data + eh.e_shoff + eh.e_shstrndx * sizeof(s),
	       sizeof(s));
	if (!fits(names.sh_offset, names.sh_size, size))
		return (struct bytes){ NULL, 0 };
	for (unsigned i = 0; i < eh.e_shnum; i++) {
		memcpy(&s, data + eh.e_shoff + i * sizeof(s), sizeof(s));
		if (fits(s.sh_name, strlen(name) + 1, names.sh_size) &&
		    !strcmp((const char *)data + names.sh_offset + s.sh_name,
			    name) &&
		    fits(s.sh_offset, s.sh_size, size))
			return (struct bytes){ data + s.sh_offset, s.sh_size };
	}
	return (struct bytes){ NULL, 0 };
}

static unsigned roll(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/* A word becomes a small number, one from elsewhere, or one more or less. */
static void change_word(uint8_t *p, size_t n, unsigned *seed)
{
	size_t at = roll(seed) % (n / 4) * 4, from = roll(seed) % (n / 4) * 4;
	uint32_t v;

	memcpy(&v, p + at, 4);
	switch (roll(seed) % 4) {
	case 0:
		v = roll(seed) % 64;
		break;
	case 1:
		memcpy(&v, p + from, 4);
		break;
	case 2:
		v += roll(seed) % 2 ? 1 : -1u;
		break;
	default:
		v ^= 1u << roll(seed) % 32;
	}
	memcpy(p + at, &v, 4);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned seed)
{
	struct bytes s =
		section(data, size, roll(&seed) % 3 ? ".BTF.ext" : ".BTF");
	uint8_t *p = (uint8_t *)s.p;

	if (s.n < 4)
		return LLVMFuzzerMutate(data, size, max);
	for (unsigned k = 1 + roll(&seed) % 4; k--;)
		if (roll(&seed) % 4)
			change_word(p, s.n, &seed);
		else
			LLVMFuzzerMutate(p, s.n, s.n);
	return size;
}

static void verify(struct arena *a, const struct bpf_set *set)
{
	struct verified v;
	struct err e;

	for (uint32_t i = 0; i < set->nprog; i++)
		verify_program(a, set, &set->prog[i], "fuzz.bpf.o", NULL, &v,
			       &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bpf_input in = { "fuzz.bpf.o", { data, size } };
	struct arena a = { 0 };
	struct bpf_set set = { 0 };
	struct err e;

	if (!bpf_load_bytes(&a, &in, 1, NULL, 0, &set, &e))
		verify(&a, &set);
	bpf_unload(&set);
	arena_free(&a);
	return 0;
}
