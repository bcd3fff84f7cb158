/* SPDX-License-Identifier: MIT */
/* image.h - an ELF file as the rewriter sees it: mapped, checked, read only.
 *
 * In:   a path.
 * Out:  everything below, in the arena or pointing into the mapped file (what
 *       a separate debug file adds is in the arena).
 * Then: every offset and size here has been checked against the file, so that
 *       later stages index without checking again.  Hostile input is an error
 *       with file and offset; it never crashes the tool.
 * Knows nothing of probes.
 */
#ifndef BPFWELD_IMAGE_H
#define BPFWELD_IMAGE_H

#include <elf.h>
#include <sys/types.h>

#include "elf/arena.h"
#include "elf/bytes.h"
#include "elf/err.h"

struct segment { /* one program header */
	uint32_t type, flags;
	uint64_t off, vaddr, filesz, memsz, align;
};

struct section {
	const char *name; /* "" when it has none */
	uint32_t type, link, info;
	uint64_t flags, addr, off, size, align, entsize;
};

enum symbol_from { SYM_DYNSYM, SYM_SYMTAB, SYM_DEBUG, SYM_GO };

struct symbol {
	const char *name;
	const char *version; /* "GLIBC_2.2.5", or NULL */
	uint64_t addr, size;
	uint8_t type, bind;  /* STT_*, STB_* */
	uint8_t from;        /* enum symbol_from */
	bool hidden_version; /* name@VER rather than name@@VER */
};

/* A function's frame description (.eh_frame; DWARF 5 §6.4). */
struct fde {
	uint64_t start, size;  /* code it describes */
	uint64_t at;           /* vaddr of the FDE record itself */
	uint64_t lsda;         /* vaddr of its LSDA, or 0 */
	struct bytes cie_insns, insns; /* CFA programs, in the file */
	uint64_t code_align;
	int64_t data_align;
	uint8_t ra_reg;
	uint8_t ptr_enc;       /* DW_EH_PE_* of the FDE's pointers */
	bool signal_frame;     /* augmentation 'S' */
	bool fragment;         /* begins with another CFA than rsp+8, or with
				  registers saved: a .cold part, not a
				  function entry.  (A cold part of a function
				  without a frame looks like an entry.) */
};

/* What a Go program's function table (.gopclntab) says of a function; its name
 * is among the symbols, as SYM_GO. */
struct go_func {
	uint64_t addr, size;   /* the padding behind it counts as well */
	uint32_t pcsp, unsafe; /* of tables for go_pc_value(), or 0 */
	uint32_t deferreturn;  /* where in it a recovered panic goes on; 0: it
				  defers nothing */
	uint8_t id;            /* FuncID by which the runtime knows it; 0: it is
				  like any other, or a wrapper */
	bool foreign;          /* C, from an object that Go's linker has taken
				  in: the table knows no file for it */
	bool assembly;
	bool writes_sp;        /* sets the stack pointer to anything */
	bool top_frame;        /* unwinding ends here */
};
struct go {
	const char *version;   /* "go1.19.8"; "go1.18 or go1.19" where only the
				  table's form tells */
	bool reg_abi;          /* arguments in registers, r14 is g: 1.17 on */
	struct go_func *func;  /* sorted by address, unique */
	size_t nfunc;
	struct bytes pctab;    /* tables of what changes inside functions */
};

struct image {
	const char *path;
	struct bytes file;     /* the whole file, mapped private read-only */
	mode_t mode;           /* permissions, to be kept */
	uint16_t type;         /* ET_EXEC or ET_DYN */
	bool dso;              /* ET_DYN that is not a program: no DF_1_PIE,
				  and no PT_INTERP or a soname beside it (so
				  libc.so.6 is a DSO) */
	bool dynamic;          /* has PT_DYNAMIC */
	bool shadow_stack;     /* marked as able to run with one (CET) */
	bool resolves;         /* IRELATIVE relocations: it has IFUNCs */
	bool asks;             /* PT_GNU_PROPERTY wants something of loader or
				  processor */
	uint64_t entry;
	const char *soname;    /* DT_SONAME or NULL */
	const char *interp;    /* or NULL */
	struct bytes build_id; /* n == 0 when there is none */

	struct segment *seg;
	size_t nseg;
	struct section *sec; /* [0] is the null section; nsec 0: no table */
	size_t nsec;
	size_t shstrndx;
	struct symbol *sym;    /* defined FUNC, OBJECT, NOTYPE and IFUNC
				  symbols with an address, sorted by addr;
				  .dynsym wins where tables say the same */
	size_t nsym;
	struct need {          /* what .dynsym wants of other files */
		const char *name;
		const char *file; /* "libc.so.6", where a version says it */
	} *need;
	size_t nneed;
	struct symbol *tls;    /* STT_TLS: addr counts from PT_TLS's start */
	size_t ntls;
	const struct go *go;   /* NULL: not a Go program */
	struct fde *fde;       /* sorted by start; no overlaps */
	size_t nfde;
	uint64_t eh_frame_hdr; /* vaddr of PT_GNU_EH_FRAME, or 0 */

	/* Every address in an executable segment that data or relocations
	 * name: RELATIVE/64/GLOB_DAT/IRELATIVE addends, RELR words,
	 * init/fini arrays, DT_INIT/DT_FINI, entry; in ET_EXEC also every
	 * aligned word of the file (also of executable segments: without
	 * -z separate-code they hold .rodata).  Sorted, unique. */
	uint64_t *codeptr;
	size_t ncodeptr;
	/* Those of them where a function begins for sure, because kernel, ld.so
	 * or the start code goes there: a program's entry point, DT_INIT,
	 * DT_FINI, init/fini arrays, IFUNC resolvers.  Sorted, unique. */
	uint64_t *begin;
	size_t nbegin;

	/* Landing pads (in Go, where recovered panics go on) and, separately,
	 * call-site boundaries of all LSDAs (.gcc_except_table): addresses
	 * where the handler that an exception finds changes.  Sorted,
	 * unique. */
	uint64_t *landing;
	size_t nlanding;
	uint64_t *callsite;
	size_t ncallsite;
	/* Landing pads that stand outside the function whose exceptions they
	 * catch: in a fragment of it. */
	struct away {
		uint64_t pad, func;
	} *away;
	size_t naway;
};

/* Read PATH.  Refused (exit 3): not ELF, 32-bit, other machine, not an
 * executable or shared object, packed by UPX, already welded (a section
 * named .bpfweld.manifest, or the weld header's magic), a Go program whose
 * function table cannot be read.  Failed: truncated or
 * inconsistent, with the offset. */
int image_read(struct arena *a, const char *path, struct image *img,
	       struct err *e);
/* The same of a welded file: to look at, not to weld. */
int image_read_welded(struct arena *a, const char *path, struct image *img,
		      struct err *e);
/* The same on bytes in memory (tests, fuzzers); debug files are not sought. */
int image_parse(struct arena *a, const char *name, struct bytes file,
		struct image *img, struct err *e);
/* Only what names addresses: segments, sections, symbols.  Takes welded files,
 * too. */
int image_read_names(struct arena *a, const char *path, struct image *img,
		     struct err *e);
void image_close(struct image *img); /* unmap; the arena stays */

/* File bytes that back [vaddr, vaddr+len), or NULL (bss or unmapped). */
const uint8_t *image_at(const struct image *img, uint64_t vaddr, uint64_t len);
/* Bytes available at vaddr in its segment's file part; 0 if none. */
uint64_t image_room(const struct image *img, uint64_t vaddr);
/* In the file part of an executable segment. */
bool image_is_code(const struct image *img, uint64_t vaddr);
/* vaddr -> file offset; UINT64_MAX when not in the file. */
uint64_t image_offset(const struct image *img, uint64_t vaddr);
const struct section *image_section(const struct image *img, const char *name);
const struct need *image_need(const struct image *img, const char *name);
const struct fde *image_fde(const struct image *img, uint64_t pc);

/* What one of f's tables says at pc, which must be in it: pcsp, how far the
 * stack pointer has been lowered; unsafe, may a signal preempt there (-2: not)?
 * GO_NO_VALUE where the table does not say. */
enum { GO_NO_VALUE = INT32_MIN };
int32_t go_pc_value(const struct go *g, const struct go_func *f,
		    uint32_t table, uint64_t pc);

/* In a sorted array of addresses, is there one in [lo, hi)? */
bool addr_between(const uint64_t *v, size_t n, uint64_t lo, uint64_t hi);

#endif
