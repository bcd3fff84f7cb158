/* SPDX-License-Identifier: MIT */
/* one_section.h - a smallest ELF file with one named section, for tests. */
#ifndef BPFWELD_ONE_SECTION_H
#define BPFWELD_ONE_SECTION_H

#include <elf.h>
#include <string.h>

#include "elf/arena.h"
#include "elf/bytes.h"

/* ELF header, 3 section headers, names, content. */
static struct bytes one_section(struct arena *a, const char *name,
				struct bytes content)
{
	size_t names = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Shdr);
	size_t at = align_up(names + 1 + strlen(name) + 1, 8);
	uint8_t *p = arena_alloc(a, at + content.n);
	Elf64_Ehdr eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
				       ELFDATA2LSB, EV_CURRENT },
			  .e_machine = EM_X86_64,
			  .e_shoff = sizeof(eh),
			  .e_shentsize = sizeof(Elf64_Shdr),
			  .e_shnum = 3,
			  .e_shstrndx = 1 };
	Elf64_Shdr sh[3] = {
		[1] = { .sh_type = SHT_STRTAB,
			.sh_offset = names,
			.sh_size = at - names },
		[2] = { .sh_type = SHT_NOTE,
			.sh_name = 1,
			.sh_offset = at,
			.sh_size = content.n },
	};

	memcpy(p, &eh, sizeof(eh));
	memcpy(p + sizeof(eh), sh, sizeof(sh));
	strcpy((char *)p + names + 1, name);
	if (content.n)
		memcpy(p + at, content.p, content.n);
	return (struct bytes){ p, at + content.n };
}

#endif
