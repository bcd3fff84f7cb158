/* SPDX-License-Identifier: MIT */
/* section.c - a bounded walk over an ELF section header table. */
#include <elf.h>

#include "runtime-stub/reader/section.h"

static bool header_at(struct bytes file, const Elf64_Ehdr *eh, uint64_t index,
		      Elf64_Shdr *sh)
{
	const uint8_t *p = NULL;

	if (index <= (UINT64_MAX - eh->e_shoff) / sizeof(*sh))
		p = bytes_at(file, eh->e_shoff + index * sizeof(*sh),
			     sizeof(*sh));
	if (p)
		memcpy(sh, p, sizeof(*sh));
	return p != NULL;
}

static struct bytes content(struct bytes file, const Elf64_Shdr *sh)
{
	struct bytes b = { 0 };

	if (sh->sh_type == SHT_NOBITS)
		return b;
	b.p = bytes_at(file, sh->sh_offset, sh->sh_size);
	b.n = b.p ? sh->sh_size : 0;
	return b;
}

static bool elf_header(struct bytes file, Elf64_Ehdr *eh)
{
	if (file.n < sizeof(*eh))
		return false;
	memcpy(eh, file.p, sizeof(*eh));
	return memcmp(eh->e_ident, ELFMAG, SELFMAG) == 0 &&
	       eh->e_ident[EI_CLASS] == ELFCLASS64 &&
	       eh->e_ident[EI_DATA] == ELFDATA2LSB && eh->e_shoff != 0 &&
	       eh->e_shentsize == sizeof(Elf64_Shdr);
}

struct bytes section_find(struct bytes file, const char *name)
{
	struct bytes none = { 0 }, names;
	uint64_t count, names_at;
	Elf64_Ehdr eh;
	Elf64_Shdr sh;

	if (!elf_header(file, &eh) || !header_at(file, &eh, 0, &sh))
		return none;
	/* Numbers that do not fit the file header are in section 0. */
	count = eh.e_shnum ? eh.e_shnum : sh.sh_size;
	names_at = eh.e_shstrndx == SHN_XINDEX ? sh.sh_link : eh.e_shstrndx;
	if (!header_at(file, &eh, names_at, &sh))
		return none;
	names = content(file, &sh);
	for (uint64_t i = 1; i < count && header_at(file, &eh, i, &sh); i++) {
		const char *s = bytes_str(names, sh.sh_name);

		if (s && strcmp(s, name) == 0)
			return content(file, &sh);
	}
	return none;
}
