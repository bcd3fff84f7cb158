/* SPDX-License-Identifier: MIT */
/* unwind_write.c - frame descriptions of trampolines: the CFA programs byte by
 * byte, and then a real trampoline in a real program, out of which libgcc and
 * gdb must find their way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "elf/emit.h" /* before cmocka, which has a macro fail() */
#include "elf/unwind.h"

#include <cmocka.h>

/* .eh_frame_hdr of no functions at 0x2000, .eh_frame at 0x3000. */
static const uint8_t old_hdr[] = { 1, 0x1b, 3, 0x3b, 0xfc, 0x0f,
				   0, 0,    0, 0,    0,    0 };
/* def_cfa rsp+8; offset rip 1 */
static const uint8_t cie[] = { 0x0c, 7, 8, 0x90, 1 };

struct fixture {
	struct arena a;
	struct image img;
	struct segment seg;
	struct fde fde;
	struct frame_desc d;
	struct unwind u;
	struct err e;
};

static void fixture_init(struct fixture *f, const uint8_t *insns, size_t n)
{
	memset(f, 0, sizeof(*f));
	f->img.path = "fixture";
	f->img.file = (struct bytes){ old_hdr, sizeof(old_hdr) };
	f->img.eh_frame_hdr = 0x2000;
	f->img.seg = &f->seg;
	f->img.nseg = 1;
	f->seg = (struct segment){
		PT_LOAD,         PF_R,  0, 0x2000, sizeof(old_hdr),
		sizeof(old_hdr), 0x1000
	};
	f->fde = (struct fde){ .start = 0x1000,
			       .size = 100,
			       .at = 0x3040,
			       .cie_insns = { cie, sizeof(cie) },
			       .insns = { insns, n },
			       .code_align = 1,
			       .data_align = -8,
			       .ra_reg = 16 };
	f->img.fde = &f->fde;
	f->img.nfde = 1;
	f->d = (struct frame_desc){
		.start = 0x8000, .size = 64, .of = &f->fde, .pc = 0x1010
	};
}

/* Write one FDE at 0x9000, the table at 0xa000. */
static void write_at(struct fixture *f, struct bytes stub, uint64_t hdr_vaddr)
{
	size_t eh, hdr;

	assert_int_equal(unwind_size(&f->d, 1, &f->img, hdr_vaddr != 0, 1, &eh,
				     &hdr),
			 0);
	assert_int_equal(unwind_write(&f->a, &f->img, &f->d, 1, stub, 0x7000,
				      0x9000, hdr_vaddr, &f->u, &f->e),
			 0);
	assert_true(f->u.eh_frame.n <= eh);
	assert_true(f->u.eh_frame_hdr.n <= hdr);
}

static void write_one(struct fixture *f, struct bytes stub)
{
	write_at(f, stub, 0xa000);
}

/* The only FDE's CFA program must be `want`, then padding. */
static void check_program(struct fixture *f, const uint8_t *want, size_t n)
{
	struct cursor c;
	uint32_t len, at;

	write_one(f, (struct bytes){ NULL, 0 });
	assert_int_equal(f->u.skipped, 0);
	c = (struct cursor){ f->u.eh_frame, 0, false };
	len = cur_u32(&c); /* CIE */
	assert_non_null(cur_take(&c, len));
	len = cur_u32(&c);
	at = cur_u32(&c);
	assert_int_equal(at, c.at - 4); /* back to the CIE */
	at = cur_u32(&c);
	assert_int_equal(at, 0x8000 - (0x9000 + (uint32_t)c.at - 4));
	assert_int_equal(cur_u32(&c), 64);
	assert_int_equal(cur_u8(&c), 0);
	assert_memory_equal(cur_take(&c, n), want, n);
	for (size_t i = 13 + n; i < len; i++)
		assert_int_equal(cur_u8(&c), 0);
	assert_int_equal(cur_u32(&c), 0);
	assert_false(c.bad);
	assert_int_equal(c.at, f->u.eh_frame.n);
	arena_free(&f->a);
}

#define PROGRAM(f, ...)                                                        \
	check_program(f, (const uint8_t[]){ __VA_ARGS__ },                     \
		      sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define FUNCTION(f, ...)                                                       \
	static const uint8_t insns[] = { __VA_ARGS__ };                        \
	fixture_init(f, insns, sizeof(insns))

#define DEPTH(a, b) { .at = a, .below = b }

static void pushes_add_up(void **state)
{
	static const struct depth depth[] = { DEPTH(0, 0), DEPTH(8, 136),
					      DEPTH(70, 0) };
	struct fixture f;
	FUNCTION(&f, 0x41, 0x0e, 16, 0x86, 2, /* push %rbp */
		 0x41, 0x0e, 24, 0x83, 3,     /* push %rbx */
		 0x44, 0x0e, 48,              /* sub $24, %rsp */
		 0x50, 0x0e, 8);              /* behind the site */

	(void)state;
	f.d.depth = depth;
	f.d.ndepth = 3;
	PROGRAM(&f, 0x0e, 16, 0x86, 2, 0x0e, 24, 0x83, 3, 0x0e, 48, 0x48, 0x0e,
		0xb8, 1, 0x7e, 0x0e, 48);
}

static void restored_state_is_forgotten(void **state)
{
	struct fixture f;
	FUNCTION(&f, 0x41, 0x0e, 16, 0x0a, 0x42, 0xc6, 0x2e, 32, 0x0b, 0x41,
		 0x83, 3, 0x0e, 24, 0x41, 0x0e, 40);

	(void)state;
	/* restore rbp is undone, 24 is overtaken */
	PROGRAM(&f, 0x0e, 16, 0x83, 3, 0x0e, 40);
}

static void frame_pointer_needs_no_depth(void **state)
{
	static const struct depth depth[] = { DEPTH(4, 128) };
	struct fixture f;
	FUNCTION(&f, 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6);

	(void)state;
	f.d.depth = depth;
	f.d.ndepth = 1;
	PROGRAM(&f, 0x0e, 16, 0x86, 2, 0x0d, 6);
}

/* push %rbp; mov %rsp, %rbp are the site; a cold path stands behind them. */
static void displaced_moves_count(void **state)
{
	static const struct depth depth[] = {
		DEPTH(5, 128),
		DEPTH(20, 0),
		{ .at = 21, .done = 1, .moved = 8 },
		{ .at = 24, .done = 4, .moved = 8 },
		DEPTH(29, 128),
	};
	struct fixture f;
	FUNCTION(&f, 0x50, 0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6);

	(void)state;
	f.d.pc = 0x1010;
	f.d.depth = depth;
	f.d.ndepth = 5;
	PROGRAM(&f, 0x45, 0x0e, 0x88, 1, 0x4f, 0x0e, 8, 0x0a, /* remember */
		0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x45,
		0x0b, /* restore */ 0x0e, 0x88, 1);
}

/* Nobody tells what the instructions of an unknown function do: we count. */
static void moves_of_unknown_functions(void **state)
{
	static const struct depth depth[] = {
		{ .at = 1, .done = 1, .moved = 8 },
		{ .at = 6, .done = 5, .moved = 24 },
		{ .at = 9 },
	};
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL, 0);
	f.d.of = NULL;
	f.d.depth = depth;
	f.d.ndepth = 3;
	PROGRAM(&f, 0x0a, 0x41, 0x0e, 16, 0x45, 0x0e, 32, 0x43, 0x0b);
}

/* rbx is the function's own by then, rbp and r12 are still its caller's; rcx
 * is of no interest. */
static void kept_registers_are_found(void **state)
{
	static const struct kept kept[] = { { 2, 0 }, { 3, 8 }, { 6, 16 },
					    { 12, 128 } };
	static const struct depth depth[] = {
		DEPTH(5, 160),
		{ .at = 9, .below = 160, .kept = kept, .nkept = 4 },
		DEPTH(40, 0),
	};
	struct fixture f;
	FUNCTION(&f, 0x41, 0x0e, 16, 0x83, 2);

	(void)state;
	f.d.depth = depth;
	f.d.ndepth = 3;
	PROGRAM(&f, 0x0e, 16, 0x83, 2, 0x45, 0x0e, 0xb0, 1,
		0x44, 0x10, 6, 2, 0x77, 16, 0x10, 12, 3, 0x77, 0x80, 1,
		0x5f, 0x0e, 16, 0x08, 6, 0x08, 12);
}

/* The CFA is r10 + 0 and r10 is kept at rsp + 8. */
static void kept_cfa_register_is_found(void **state)
{
	static const struct kept kept[] = { { 10, 8 } };
	static const struct depth depth[] = {
		DEPTH(5, 160),
		{ .at = 9, .below = 160, .kept = kept, .nkept = 1 },
		DEPTH(40, 0),
	};
	struct fixture f;
	FUNCTION(&f, 0x45, 0x0c, 10, 0);

	(void)state;
	f.d.depth = depth;
	f.d.ndepth = 3;
	PROGRAM(&f, 0x0c, 10, 0, 0x49, 0x0f, 6, 0x77, 8, 0x06, 0x11, 0, 0x22,
		0x5f, 0x0c, 10, 0);
}

static void entry_has_no_function(void **state)
{
	static const struct depth depth[] = { DEPTH(300, 16) };
	struct fixture f;

	(void)state;
	fixture_init(&f, NULL, 0);
	f.d.of = NULL;
	f.d.depth = depth;
	f.d.ndepth = 1;
	PROGRAM(&f, 0x04, 44, 1, 0, 0, 0x0e, 24);
}

static void computed_from_rsp_is_skipped(void **state)
{
	struct fixture f;
	/* What ld writes for .plt: rsp + 8 + ((rip & 15) >= 11) * 8 */
	FUNCTION(&f, 0x0e, 16, 0x46, 0x0e, 24, 0x4a, 0x0f, 11, 0x77, 8, 0x80, 0,
		 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);

	(void)state;
	write_one(&f, (struct bytes){ NULL, 0 });
	assert_int_equal(f.u.skipped, 1);
	assert_int_equal(f.u.eh_frame.n, 4);
	arena_free(&f.a);
}

static void unknown_is_skipped(void **state)
{
	struct fixture f;
	FUNCTION(&f, 0x3f, 1, 2, 3);

	(void)state;
	write_one(&f, (struct bytes){ NULL, 0 });
	assert_int_equal(f.u.skipped, 1);
	arena_free(&f.a);
}

/* Old functions, the stub's and ours, in one sorted table; eh_frame_ptr still
 * says where the old .eh_frame is. */
static void table_has_all(void **state)
{
	// clang-format off
	static const uint8_t stub[] = {
		/* CIE */
		20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b,
		0x0c, 7, 8, 0x90, 1, 0, 0,
		/* FDE of 0x8f00, 48 bytes */
		20, 0, 0, 0, 28, 0, 0, 0, 0xe0, 0x1e, 0, 0, 48, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0
	};
	static const uint32_t want[] = {
		0x3000 - 0xa004, 3,
		0x1000 - 0xa000, 0x3040 - 0xa000, /* the original's */
		0x8000 - 0xa000, 0x9018 - 0xa000, /* ours */
		0x8f00 - 0xa000, 0x7018 - 0xa000, /* the stub's */
	};
	// clang-format on
	struct fixture f;
	FUNCTION(&f, 0);

	(void)state;
	write_one(&f, (struct bytes){ stub, sizeof(stub) });
	assert_int_equal(f.u.eh_frame_hdr.n, 4 + sizeof(want));
	assert_memory_equal(f.u.eh_frame_hdr.p, "\1\x1b\3\x3b", 4);
	assert_memory_equal(f.u.eh_frame_hdr.p + 4, want, sizeof(want));
	assert_true(f.u.debug_frame.n > 0);
	arena_free(&f.a);
}

/* A static program's: the old FDEs stand where its .eh_frame says. */
static void table_where_there_was_none(void **state)
{
	// clang-format off
	uint32_t want[] = {
		0x3000 - 0xa004,
		2,
		0x1000 - 0xa000, 0x3040 - 0xa000, /* the original's */
		0x8000 - 0xa000, 0x9018 - 0xa000, /* ours */
	};
	// clang-format on
	struct section sec[] = { { .name = "" },
				 { .name = ".eh_frame", .addr = 0x3000 } };
	struct fixture f;
	FUNCTION(&f, 0);

	(void)state;
	f.img.eh_frame_hdr = 0;
	f.img.sec = sec;
	f.img.nsec = 2;
	write_one(&f, (struct bytes){ NULL, 0 });
	assert_int_equal(f.u.eh_frame_hdr.n, 4 + sizeof(want));
	assert_memory_equal(f.u.eh_frame_hdr.p + 4, want, sizeof(want));
	arena_free(&f.a);
}

static void no_table(void **state)
{
	struct fixture f;
	FUNCTION(&f, 0);

	(void)state;
	f.img.eh_frame_hdr = 0;
	write_at(&f, (struct bytes){ NULL, 0 }, 0);
	assert_int_equal(f.u.eh_frame.n + f.u.eh_frame_hdr.n, 0);
	arena_free(&f.a);
}

/* --- a trampoline that calls back into its program ---------------------- */

static const char program[] =
	"#include <execinfo.h>\n"
	"#include <stdlib.h>\n"
	"#include <stdio.h>\n"
	"int main(void);\n"
	"__asm__(\".text; .globl outer, outer_site; .type outer,@function\\n\"\n"
	"\"outer: .cfi_startproc; push %rbx; .cfi_def_cfa_offset 16\\n\"\n"
	"\".cfi_offset rbx,-16; sub $40,%rsp; .cfi_def_cfa_offset 56\\n\"\n"
	"\"outer_site: mov $7,%eax; add $40,%rsp\\n\"\n"
	"\".cfi_def_cfa_offset 16; pop %rbx; .cfi_def_cfa_offset 8; ret\\n\"\n"
	"\".cfi_endproc; .size outer, .-outer\");\n"
	"int outer(void);\n"
	"static int frames, calls;\n"
	"__attribute__((noinline, used)) void callback(void)\n"
	"{\n"
	"	void *v[20];\n"
	"	calls++;\n"
	"	frames = backtrace(v, 20);\n"
	"	/* here, the trampoline in place of outer, main */\n"
	"	if (frames > 2 && (char *)v[2] > (char *)main &&\n"
	"	    (char *)v[2] < (char *)main + 20)\n"
	"		calls += 10;\n"
	"}\n"
	"__attribute__((noinline)) int main(void)\n"
	"{\n"
	"	int v = outer();\n"
	"	return v == 7 ? calls : 99;\n"
	"}\n";

static uint64_t symbol(const struct image *img, const char *name)
{
	for (size_t i = 0; i < img->nsym; i++)
		if (!strcmp(img->sym[i].name, name))
			return img->sym[i].addr;
	fail_msg("no symbol %s", name);
	return 0;
}

static void jump(uint8_t *p, uint8_t op, uint64_t at, uint64_t target)
{
	uint32_t rel = (uint32_t)(target - (at + 5));

	p[0] = op;
	memcpy(p + 1, &rel, 4);
}

enum {
	EH_AT = 128,
	HDR_AT = 512,
	RX_SIZE = 4096
};

/* outer_site -> lea -128(%rsp), %rsp; push %rax; call callback; pop %rax;
 *               lea 128(%rsp), %rsp; mov $7, %eax; jmp outer_site + 5 */
static void weld_callback(const char *in, const char *out)
{
	static const uint8_t head[] = { 0x48, 0x8d, 0x64, 0x24, 0x80, 0x50 };
	static const uint8_t tail[] = { 0x58, 0x48, 0x8d, 0xa4, 0x24, 0x80, 0,
					0,    0,    0xb8, 7,    0,    0,    0 };
	static const struct depth depth[] = {
		DEPTH(5, 128), DEPTH(6, 136), DEPTH(12, 128), DEPTH(20, 0)
	};
	struct arena a = { 0 };
	struct err e;
	struct image img;
	struct room room;
	struct edits ed = { 0 };
	struct frame_desc d = { .size = 30, .depth = depth, .ndepth = 4 };
	struct unwind u;
	struct new_section sec[3] = {
		{ .name = ".weld.text",
		  .type = SHT_PROGBITS,
		  .align = 64,
		  .size = 64 },
		{ .name = ".weld.eh_frame",
		  .type = SHT_PROGBITS,
		  .align = 8,
		  .data = true },
		{ .name = ".debug_frame",
		  .type = SHT_PROGBITS,
		  .align = 8,
		  .in = NOT_LOADED },
	};
	struct new_symbol sym = { "outer.weld", IN_RX, 0, 30, STT_FUNC };
	struct edit edit = { .len = 5 };
	uint8_t jmp[5], *p;

	assert_int_equal(image_read(&a, in, &img, &e), 0);
	assert_int_equal(emit_plan(&a, &img, &room, &e), 0);
	ed.rx_size = RX_SIZE;
	ed.rx = arena_alloc(&a, RX_SIZE);
	d.pc = symbol(&img, "outer_site");
	d.of = image_fde(&img, d.pc);
	d.start = room.rx_vaddr + room.rx_start;
	p = ed.rx + room.rx_start;
	memcpy(p, head, sizeof(head));
	jump(p + 6, 0xe8, d.start + 6, symbol(&img, "callback"));
	memcpy(p + 11, tail, sizeof(tail));
	jump(p + 25, 0xe9, d.start + 25, d.pc + 5);
	assert_int_equal(
		unwind_write(&a, &img, &d, 1, (struct bytes){ NULL, 0 }, 0,
			     d.start + EH_AT, d.start + HDR_AT, &u, &e),
		0);
	memcpy(p + EH_AT, u.eh_frame.p, u.eh_frame.n);
	memcpy(p + HDR_AT, u.eh_frame_hdr.p, u.eh_frame_hdr.n);
	ed.eh_frame_hdr = room.rx_start + HDR_AT;
	ed.eh_frame_hdr_size = u.eh_frame_hdr.n;
	sec[0].at = room.rx_start;
	sec[1].at = room.rx_start + EH_AT;
	sec[1].size = u.eh_frame.n;
	sec[2].content = u.debug_frame;
	ed.sec = sec;
	ed.nsec = 3;
	sym.at = room.rx_start;
	ed.sym = &sym;
	ed.nsym = 1;
	jump(jmp, 0xe9, d.pc, d.start);
	edit.vaddr = d.pc;
	edit.bytes = jmp;
	ed.edit = &edit;
	ed.nedit = 1;
	assert_int_equal(emit_write(&a, &img, &room, &ed, out, &e), 0);
	image_close(&img);
	arena_free(&a);
}

static void run(const char *cmd)
{
	if (system(cmd))
		fail_msg("%s", cmd);
}

static void unwinders_find_main(void **state)
{
	static char dir[] = "/tmp/unit-unwind.XXXXXX";
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	f = fopen("p.c", "w");
	assert_non_null(f);
	fputs(program, f);
	fclose(f);
	run("gcc -O1 -o p p.c");
	weld_callback("p", "w");
	run("./w; [ $? = 11 ]");
	run("cp w s && strip -g s && ./s; [ $? = 11 ]");
	run("eu-strip -o s w && ./s; [ $? = 11 ]");
	run("! command -v eu-elflint >/dev/null || eu-elflint -q --gnu-ld w");
	run("! command -v gdb >/dev/null || gdb -nx -batch -ex 'break callback'"
	    " -ex run -ex bt ./w 2>&1 | tr '\\n' ' ' | "
	    "grep -q ' callback .* outer.weld.* main '");
	run("rm -r \"$PWD\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushes_add_up),
		cmocka_unit_test(restored_state_is_forgotten),
		cmocka_unit_test(frame_pointer_needs_no_depth),
		cmocka_unit_test(displaced_moves_count),
		cmocka_unit_test(moves_of_unknown_functions),
		cmocka_unit_test(kept_registers_are_found),
		cmocka_unit_test(kept_cfa_register_is_found),
		cmocka_unit_test(entry_has_no_function),
		cmocka_unit_test(computed_from_rsp_is_skipped),
		cmocka_unit_test(unknown_is_skipped),
		cmocka_unit_test(table_has_all),
		cmocka_unit_test(table_where_there_was_none),
		cmocka_unit_test(no_table),
		cmocka_unit_test(unwinders_find_main),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
