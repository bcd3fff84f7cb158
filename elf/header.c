/* SPDX-License-Identifier: MIT */
/* header.c - the ELF header and its two tables, and who is turned away.
 *
 * What is checked here is what all later indexing rests on: both tables and
 * everything they point at lie in the file; the PT_LOADs ascend, do not
 * overlap and do not wrap.  Section headers may be missing or blank: nothing
 * needs them to run, so nothing here needs them either.
 */
#include "elf/emit.h"
#include "elf/image_parts.h"

/* The kernel runs nothing with more than 64 KiB of program headers. */
enum {
	PHDRS_MAX = 65536 / sizeof(Elf64_Phdr)
};

static int check_ident(const struct image *img, Elf64_Ehdr *eh, struct err *e)
{
	const char *f = img->path;
	const uint8_t *id = bytes_at(img->file, 0, EI_NIDENT);

	if (img->file.n < SELFMAG || memcmp(img->file.p, ELFMAG, SELFMAG))
		return refuse(e, f, NOWHERE, "not an ELF file");
	if (!id)
		return fail(e, f, img->file.n, "truncated in its ELF header");
	if (id[EI_CLASS] != ELFCLASS64)
		return refuse(e, f, EI_CLASS, "not a 64-bit ELF file");
	if (id[EI_DATA] != ELFDATA2LSB)
		return refuse(e, f, EI_DATA, "not a little-endian ELF file");
	if (!bytes_get(img->file, 0, eh, sizeof(*eh)))
		return fail(e, f, img->file.n, "truncated in its ELF header");
	if (eh->e_machine == EM_BPF)
		return refuse(e, f, offsetof(Elf64_Ehdr, e_machine),
			      "a BPF object, not an x86-64 program or library; "
			      "TARGET comes first, objects behind it");
	if (eh->e_machine != EM_X86_64)
		return refuse(e, f, offsetof(Elf64_Ehdr, e_machine),
			      "machine %u, not x86-64", eh->e_machine);
	return 0;
}

static int check_type(const struct image *img, const Elf64_Ehdr *eh,
		      struct err *e)
{
	switch (eh->e_type) {
	case ET_EXEC:
	case ET_DYN:
		return 0;
	case ET_REL:
		return refuse(e, img->path, NOWHERE,
			      "a relocatable object; weld what it is linked "
			      "into");
	case ET_CORE:
		return refuse(e, img->path, NOWHERE, "a core dump");
	default:
		return refuse(e, img->path, offsetof(Elf64_Ehdr, e_type),
			      "ELF type %u: not an executable or shared object",
			      eh->e_type);
	}
}

/* One PT_LOAD, given where the one before it ends in memory. */
static int check_load(const struct image *img, const struct segment *s,
		      uint64_t at, uint64_t *end, struct err *e)
{
	if (s->filesz > s->memsz)
		return fail(e, img->path, at,
			    "LOAD segment is larger in the file than in "
			    "memory");
	if (s->vaddr >> 47 || s->memsz >> 47)
		return fail(e, img->path, at,
			    "LOAD segment lies outside user memory");
	if (s->filesz && ((s->vaddr - s->off) & 0xfff))
		return fail(e, img->path, at,
			    "LOAD segment's address and offset do not agree "
			    "modulo the page size");
	if (s->vaddr < *end)
		return fail(e, img->path, at,
			    "LOAD segments overlap or do not ascend");
	*end = s->vaddr + s->memsz;
	return 0;
}

static int segments_read(struct arena *a, struct image *img,
			 const Elf64_Ehdr *eh, struct err *e)
{
	uint64_t end = 0;
	size_t loads = 0;

	if (eh->e_phnum && eh->e_phentsize != sizeof(Elf64_Phdr))
		return fail(e, img->path, offsetof(Elf64_Ehdr, e_phentsize),
			    "program headers of %u bytes", eh->e_phentsize);
	if (eh->e_phnum > PHDRS_MAX)
		return fail(e, img->path, offsetof(Elf64_Ehdr, e_phnum),
			    "%u program headers", eh->e_phnum);
	img->seg = arena_alloc(a, eh->e_phnum * sizeof(*img->seg));
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		struct segment *s = &img->seg[i];
		uint64_t at = eh->e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr ph;

		if (at < eh->e_phoff ||
		    !bytes_get(img->file, at, &ph, sizeof(ph)))
			return fail(e, img->path, at,
				    "truncated in its program headers");
		*s = (struct segment){ ph.p_type,  ph.p_flags,  ph.p_offset,
				       ph.p_vaddr, ph.p_filesz, ph.p_memsz,
				       ph.p_align };
		/* Other kinds are checked by who reads them: GNU_STACK and
		 * the like say nothing about the file. */
		if (s->type != PT_LOAD)
			continue;
		if (!bytes_at(img->file, s->off, s->filesz))
			return fail(e, img->path, at,
				    "truncated: LOAD segment %u ends past the "
				    "file",
				    i);
		if (check_load(img, s, at, &end, e))
			return -1;
		loads++;
	}
	img->nseg = eh->e_phnum;
	if (!loads)
		return refuse(e, img->path, NOWHERE, "it has no LOAD segment");
	return 0;
}

/* Number of sections and the index of their names' section; both move into
 * section 0 when they do not fit the header. */
static int count_sections(struct image *img, const Elf64_Ehdr *eh,
			  struct err *e)
{
	Elf64_Shdr first;

	img->nsec = eh->e_shnum;
	img->shstrndx = eh->e_shstrndx;
	if (!eh->e_shoff) {
		img->nsec = img->shstrndx = 0;
		return 0;
	}
	if (!bytes_get(img->file, eh->e_shoff, &first, sizeof(first)))
		return fail(e, img->path, eh->e_shoff,
			    "truncated before its section headers");
	if (eh->e_shentsize != sizeof(first))
		return fail(e, img->path, offsetof(Elf64_Ehdr, e_shentsize),
			    "section headers of %u bytes", eh->e_shentsize);
	if (!eh->e_shnum)
		img->nsec = first.sh_size;
	if (eh->e_shstrndx == SHN_XINDEX)
		img->shstrndx = first.sh_link;
	if (img->nsec > (img->file.n - eh->e_shoff) / sizeof(first))
		return fail(e, img->path, eh->e_shoff,
			    "truncated in its section headers");
	return 0;
}

static int name_sections(struct image *img, const uint32_t *name,
			 const Elf64_Ehdr *eh, struct err *e)
{
	struct bytes str = { 0 };

	if (img->shstrndx < img->nsec &&
	    img->sec[img->shstrndx].type == SHT_STRTAB)
		str = bytes_strings(
			section_bytes(img, &img->sec[img->shstrndx]));
	for (size_t i = 0; i < img->nsec; i++) {
		img->sec[i].name = "";
		if (!str.n || !name[i])
			continue;
		if (name[i] >= str.n)
			return fail(e, img->path,
				    eh->e_shoff + i * sizeof(Elf64_Shdr),
				    "section %zu: name past the string table",
				    i);
		img->sec[i].name = (const char *)str.p + name[i];
	}
	return 0;
}

int sections_read(struct arena *a, struct image *img, struct err *e)
{
	Elf64_Ehdr eh;
	uint32_t *name;

	if (!bytes_get(img->file, 0, &eh, sizeof(eh)))
		return fail(e, img->path, 0, "truncated in its ELF header");
	if (count_sections(img, &eh, e))
		return -1;
	img->sec = arena_alloc(a, img->nsec * sizeof(*img->sec));
	name = arena_alloc(a, img->nsec * sizeof(*name));
	/* Section 0 holds counts, not a place: it stays blank. */
	for (size_t i = 1; i < img->nsec; i++) {
		uint64_t at = eh.e_shoff + i * sizeof(Elf64_Shdr);
		Elf64_Shdr h;

		bytes_get(img->file, at, &h, sizeof(h));
		if (h.sh_type != SHT_NULL && h.sh_type != SHT_NOBITS &&
		    !bytes_at(img->file, h.sh_offset, h.sh_size))
			return fail(e, img->path, at,
				    "section %zu ends past the file", i);
		name[i] = h.sh_name;
		img->sec[i] = (struct section){
			.type = h.sh_type,
			.link = h.sh_link,
			.info = h.sh_info,
			.flags = h.sh_flags,
			.addr = h.sh_addr,
			.off = h.sh_offset,
			.size = h.sh_size,
			.align = h.sh_addralign,
			.entsize = h.sh_entsize,
		};
	}
	return name_sections(img, name, &eh, e);
}

/* What objcopy --only-keep-debug makes: the sections' headers, not the code. */
static bool is_debug_file(const struct image *img)
{
	for (size_t i = 1; i < img->nsec; i++) {
		const struct section *s = &img->sec[i];

		if (s->type == SHT_NOBITS && s->size &&
		    (s->flags & SHF_EXECINSTR) && !(s->flags & SHF_WRITE))
			return true;
	}
	return false;
}

/* UPX leaves no section headers, puts its marker behind the program headers
 * and again into the last bytes.  A program that merely contains "UPX!" has
 * sections. */
static bool is_upx(const struct image *img)
{
	size_t n = img->file.n, head = n < 1024 ? n : 1024;
	size_t tail = n < 64 ? n : 64;

	for (size_t i = 1; i < img->nsec; i++)
		if (!strncmp(img->sec[i].name, "UPX", 3))
			return true;
	return img->nsec == 0 &&
	       (memmem(img->file.p, head, "UPX!", 4) ||
		memmem(img->file.p + n - tail, tail, "UPX!", 4));
}

static bool is_welded(const struct image *img)
{
	if (image_section(img, ".bpfweld.manifest"))
		return true;
	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];

		if (s->type == PT_LOAD && (s->flags & PF_X) &&
		    s->filesz >= sizeof(WELD_MAGIC) &&
		    !memcmp(img->file.p + s->off, WELD_MAGIC,
			    sizeof(WELD_MAGIC)))
			return true;
	}
	return false;
}

int header_read(struct arena *a, struct image *img, bool welded_too,
		struct err *e)
{
	Elf64_Ehdr eh;

	if (check_ident(img, &eh, e) || check_type(img, &eh, e) ||
	    sections_read(a, img, e))
		return -1;
	if (is_debug_file(img))
		return refuse(e, img->path, NOWHERE,
			      "a separate debug file; weld the program that it "
			      "belongs to");
	if (segments_read(a, img, &eh, e))
		return -1;
	img->type = eh.e_type;
	img->entry = eh.e_entry;
	if (is_upx(img))
		return refuse(e, img->path, NOWHERE,
			      "packed by UPX; unpack it first (upx -d)");
	if (!welded_too && is_welded(img))
		return refuse(e, img->path, NOWHERE,
			      "already welded; weld the original, or unweld "
			      "this first");
	return 0;
}
