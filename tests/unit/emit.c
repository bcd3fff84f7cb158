/* SPDX-License-Identifier: MIT */
/* emit.c - new segments in real files: what the output is made of, that the
 * original can be had back from it, and that a failure leaves nothing behind.
 *
 * `unit-emit IN OUT` writes IN with a small RX and RW segment added; e2e/layout
 * does that to many kinds of files, runs them and gives them to strip & co.
 * The code added runs first: at e_entry of a program, at DT_INIT of a library,
 * where it counts in .data and in .bss and goes on to the original's.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/emit.h" /* before cmocka, which has a macro fail() */

#include <cmocka.h>

enum {
	RW_SIZE = 64,
	RW_MEMSZ = 3 * 4096,
	BSS_AT = 4096
};

struct weld {
	struct arena a;
	struct image img;
	struct room room;
	struct edits ed;
	struct new_section sec[8];
	struct new_symbol sym[2];
	struct edit edit;
	uint8_t rw[RW_SIZE];
	struct err e;
};

/* Padding behind a ret: bytes that can be patched in any program. */
static uint64_t find_padding(const struct image *img)
{
	static const uint8_t pad[] = { 0xc3, 0x66, 0x2e, 0x0f, 0x1f, 0x84 };

	for (size_t i = 0; i < img->nseg; i++) {
		const struct segment *s = &img->seg[i];
		const uint8_t *p;

		if (s->type != PT_LOAD || !(s->flags & PF_X))
			continue;
		p = memmem(img->file.p + s->off, s->filesz, pad, sizeof(pad));
		if (p)
			return s->vaddr +
			       (uint64_t)(p - (img->file.p + s->off)) + 1;
	}
	return 0;
}

static void rel32(uint8_t **p, uint64_t target, uint64_t next)
{
	uint32_t rel = (uint32_t)(target - next);

	memcpy(*p, &rel, 4);
	*p += 4;
}

/* lock incq data(%rip); lock incq bss(%rip); jmp old */
static void write_code(struct weld *w, uint8_t *p, uint64_t old)
{
	static const uint8_t inc[] = { 0xf0, 0x48, 0xff, 0x05 };
	uint64_t at = w->room.rx_vaddr + w->room.rx_start;
	uint64_t rw = emit_rw_vaddr(&w->room, w->ed.rx_size);

	memcpy(p, inc, sizeof(inc));
	p += sizeof(inc);
	rel32(&p, rw + 8, at + 8);
	memcpy(p, inc, sizeof(inc));
	p += sizeof(inc);
	rel32(&p, rw + BSS_AT + 8, at + 16);
	if (!old) {
		*p = 0xc3;
		return;
	}
	*p++ = 0xe9;
	rel32(&p, old, at + 21);
}

static uint64_t old_init(const struct image *img)
{
	for (size_t i = 0; i < img->nseg; i++) {
		const Elf64_Dyn *d =
			(const void *)(img->file.p + img->seg[i].off);

		if (img->seg[i].type != PT_DYNAMIC)
			continue;
		for (; d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_INIT)
				return d->d_un.d_ptr;
	}
	return 0;
}

static void make_edits(struct weld *w)
{
	static const uint8_t int3[5] = { 0xcc, 0xcc, 0xcc, 0xcc, 0xcc };
	static const uint8_t note[20] = { 8,   0,   0,   0,   0,  0,   0,
					  0,   1,   0,   0,   0,  'b', 'p',
					  'f', 'w', 'e', 'l', 'd' };
	uint64_t start = w->room.rx_start, init = old_init(&w->img);
	struct edits *ed = &w->ed;

	ed->rx_size = start + 128;
	ed->rx = arena_alloc(&w->a, ed->rx_size);
	ed->rw = w->rw;
	ed->rw_size = RW_SIZE;
	ed->rw_memsz = RW_MEMSZ;
	memset(w->rw, 'D', sizeof(w->rw));
	memcpy(ed->rx + start + 64, note, sizeof(note));
	if (!w->img.dso)
		ed->entry = w->room.rx_vaddr + start;
	else if (init)
		ed->init = w->room.rx_vaddr + start;
	write_code(w, ed->rx + start, w->img.dso ? init : w->img.entry);
	w->sec[0] = (struct new_section){ .name = ".weld.text",
					  .in = IN_RX,
					  .at = start,
					  .size = 64,
					  .type = SHT_PROGBITS,
					  .align = 16 };
	w->sec[1] = (struct new_section){ .name = ".note.bpfweld.x",
					  .in = IN_RX,
					  .at = start + 64,
					  .size = 20,
					  .type = SHT_NOTE,
					  .align = 4 };
	w->sec[2] = (struct new_section){ .name = ".weld.data",
					  .in = IN_RW,
					  .at = 0,
					  .size = RW_SIZE,
					  .type = SHT_PROGBITS,
					  .align = 8 };
	w->sec[3] = (struct new_section){ .name = ".weld.bss",
					  .in = IN_BSS,
					  .at = BSS_AT,
					  .size = RW_MEMSZ - BSS_AT,
					  .type = SHT_NOBITS,
					  .align = 4096 };
	w->sec[4] = (struct new_section){ .name = ".weld.manifest",
					  .in = NOT_LOADED,
					  .type = SHT_PROGBITS,
					  .align = 8,
					  .content = { note, sizeof(note) } };
	w->sec[5] = (struct new_section){ .name = ".note.weld.manifest",
					  .in = NOT_LOADED,
					  .type = SHT_NOTE,
					  .align = 4,
					  .content = { note, sizeof(note) } };
	ed->sec = w->sec;
	ed->nsec = 6;
	w->sym[0] =
		(struct new_symbol){ "weld_first", IN_RX, start, 21, STT_FUNC };
	w->sym[1] =
		(struct new_symbol){ "weld_count", IN_RW, 8, 8, STT_OBJECT };
	ed->sym = w->sym;
	ed->nsym = 2;
	w->edit = (struct edit){ find_padding(&w->img), int3, sizeof(int3) };
	ed->edit = &w->edit;
	ed->nedit = w->edit.vaddr != 0;
}

static int weld_open(struct weld *w, const char *in)
{
	memset(w, 0, sizeof(*w));
	if (image_read(&w->a, in, &w->img, &w->e) ||
	    emit_plan(&w->a, &w->img, &w->room, &w->e))
		return -1;
	make_edits(w);
	return 0;
}

static int weld_write(struct weld *w, const char *out)
{
	return emit_write(&w->a, &w->img, &w->room, &w->ed, out, &w->e);
}

static void weld_close(struct weld *w)
{
	image_close(&w->img);
	arena_free(&w->a);
}

/* --- */

static char dir[] = "/tmp/unit-emit.XXXXXX";

static char *path(const char *name)
{
	static char p[2][128];
	static int i;

	i = !i;
	snprintf(p[i], sizeof(p[i]), "%s/%s", dir, name);
	return p[i];
}

static struct bytes slurp(struct arena *a, const char *name)
{
	struct bytes b = { NULL, 0 };
	struct stat st;
	FILE *f = fopen(name, "r");
	uint8_t *p;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	b.p = p = arena_alloc(a, (size_t)st.st_size);
	b.n = fread(p, 1, (size_t)st.st_size, f);
	fclose(f);
	return b;
}

static void run(const char *cmd)
{
	char *line;

	assert_true(asprintf(&line, "cd %s && %s", dir, cmd) > 0);
	if (system(line))
		fail_msg("%s", line);
	free(line);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	run("echo 'int main(void) { return 42; }' > a.c");
	run("gcc -o pie a.c && gcc -no-pie -o exec a.c && "
	    "gcc -static -o static a.c");
	run("gcc -shared -fPIC -o dso.so a.c");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	run("rm -rf \"$PWD\"");
	return 0;
}

static const char *const inputs[] = { "pie", "exec", "static", "dso.so" };

static void check_header(const struct weld *w, struct bytes out)
{
	const Elf64_Ehdr *h = (const void *)out.p;
	const Elf64_Phdr *ph = (const void *)(out.p + h->e_phoff);
	uint64_t end = 0;
	size_t rx = 0;

	assert_int_equal(h->e_phoff, w->room.phoff);
	for (size_t i = 0; i < h->e_phnum; i++) {
		if (ph[i].p_type == PT_PHDR) {
			assert_int_equal(ph[i].p_offset, h->e_phoff);
			assert_int_equal(ph[i].p_filesz,
					 h->e_phnum * sizeof(*ph));
		}
		if (ph[i].p_type != PT_LOAD)
			continue;
		assert_true(ph[i].p_vaddr >= end);
		end = ph[i].p_vaddr + ph[i].p_memsz;
		assert_int_equal(ph[i].p_vaddr % 4096, ph[i].p_offset % 4096);
		assert_true(ph[i].p_offset + ph[i].p_filesz <= out.n);
		assert_true((ph[i].p_flags & (PF_W | PF_X)) != (PF_W | PF_X));
		rx = ph[i].p_vaddr == w->room.rx_vaddr ? i : rx;
	}
	assert_memory_equal(out.p + ph[rx].p_offset, WELD_MAGIC, 8);
	assert_int_equal(ph[rx + 1].p_filesz, RW_SIZE);
	assert_int_equal(ph[rx + 1].p_memsz, RW_MEMSZ);
}

/* The original comes back when the saved bytes do; nothing else has changed,
 * and the same input gives the same output. */
static void restores(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(*inputs); i++) {
		struct weld w;
		struct saved *s;
		struct bytes out, again;
		size_t n;

		assert_int_equal(weld_open(&w, path(inputs[i])), 0);
		assert_false(w.room.move_table);
		assert_int_equal(
			emit_saved(&w.a, &w.img, &w.room, &w.ed, &s, &n, &w.e),
			0);
		assert_int_equal(weld_write(&w, path("out")), 0);
		out = slurp(&w.a, path("out"));
		assert_int_equal(weld_write(&w, path("out2")), 0);
		again = slurp(&w.a, path("out2"));
		assert_int_equal(out.n, again.n);
		assert_memory_equal(out.p, again.p, out.n);
		check_header(&w, out);
		assert_memory_not_equal(out.p, w.img.file.p, w.img.file.n);
		for (size_t k = 0; k < n; k++) {
			assert_true(!k ||
				    s[k].off > s[k - 1].off + s[k - 1].bytes.n);
			memcpy((uint8_t *)out.p + s[k].off, s[k].bytes.p,
			       s[k].bytes.n);
		}
		assert_memory_equal(out.p, w.img.file.p, w.img.file.n);
		weld_close(&w);
	}
}

/* What moved out of the table's way is found where the headers say. */
static void evicted_is_found(void **state)
{
	struct weld w, o;

	(void)state;
	assert_int_equal(weld_open(&w, path("dso.so")), 0);
	assert_true(w.room.nevicted > 0);
	assert_int_equal(weld_write(&w, path("out")), 0);
	memset(&o, 0, sizeof(o));
	/* image_read() refuses welded files by their magic. */
	run("printf X | dd of=out bs=1 conv=notrunc status=none seek="
	    "$((0x$(objdump -h out | awk '$2 == \".bpfweld\" {print $6}')))");
	assert_int_equal(image_read(&o.a, path("out"), &o.img, &o.e), 0);
	assert_int_equal(o.img.build_id.n, w.img.build_id.n);
	assert_memory_equal(o.img.build_id.p, w.img.build_id.p,
			    w.img.build_id.n);
	for (size_t i = 1; i < w.img.nsec; i++) {
		const struct section *was = &w.img.sec[i];
		const struct section *is = image_section(&o.img, was->name);

		assert_non_null(is);
		if (was->type == SHT_NOTE || was->type == SHT_GNU_HASH)
			assert_memory_equal(w.img.file.p + was->off,
					    o.img.file.p + is->off, was->size);
	}
	weld_close(&w);
	weld_close(&o);
}

/* Behind a static program's notes stands what cannot move: a table of frames
 * has the slots that note and property give away, or none. */
static void static_gets_frame_table(void **state)
{
	static const struct {
		const char *name;
		bool frame_table, drop_property;
	} cases[] = {
		{ "static", true, true },
		{ "asks", false, false },
		{ "pie", true, false },
	};
	struct weld w;

	(void)state;
	run("gcc -static -fcf-protection -Wl,-z,ibt,--build-id=none "
	    "-o asks a.c");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(weld_open(&w, path(cases[i].name)), 0);
		assert_false(w.room.move_table);
		assert_int_equal(w.room.frame_table, cases[i].frame_table);
		assert_int_equal(w.room.drop_property, cases[i].drop_property);
		weld_close(&w);
	}
}

/* Without section headers nothing says what stands behind the table. */
static void no_sections_moves_table(void **state)
{
	struct weld w;

	(void)state;
	run("cp pie bare && printf '\\0\\0\\0\\0\\0\\0\\0\\0' | "
	    "dd of=bare bs=1 seek=40 conv=notrunc status=none && "
	    "printf '\\0\\0\\0\\0' | "
	    "dd of=bare bs=1 seek=60 conv=notrunc status=none");
	assert_int_equal(weld_open(&w, path("bare")), 0);
	assert_true(w.room.move_table);
	assert_int_equal(weld_write(&w, path("bare.out")), 0);
	check_header(&w, slurp(&w.a, path("bare.out")));
	run("./bare.out; [ $? = 42 ] && objdump -h bare.out | "
	    "grep -q weld.text");
	weld_close(&w);
}

static void nothing_left(const char *but)
{
	char *cmd;

	assert_true(asprintf(&cmd, "[ \"$(ls -A d)\" = '%s' ]", but) > 0);
	run(cmd);
	free(cmd);
}

static void failure_leaves_nothing(void **state)
{
	struct rlimit old, small = { 4096, RLIM_INFINITY };
	struct weld w;

	(void)state;
	run("mkdir d && echo before > d/out");
	assert_int_equal(weld_open(&w, path("pie")), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(weld_write(&w, path("d/out")), -1);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_string_equal(w.e.what, "File too large");
	nothing_left("out");
	run("[ \"$(cat d/out)\" = before ]");
	assert_int_equal(weld_write(&w, path("d")), -1);
	assert_int_equal(weld_write(&w, path("no/such/dir")), -1);
	assert_int_equal(weld_write(&w, "/dev/null"), -1);
	nothing_left("out");
	assert_int_equal(weld_write(&w, path("d/out")), 0);
	run("d/out; [ $? = 42 ]");
	weld_close(&w);
}

static void mode_of(const char *name, mode_t want)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, want);
}

static void setuid_is_dropped(void **state)
{
	struct weld w;

	(void)state;
	run("cp pie suid && chmod 6751 suid");
	assert_int_equal(weld_open(&w, path("suid")), 0);
	w.img.mode = 06751;
	assert_int_equal(weld_write(&w, path("out")), 0);
	mode_of(path("out"), 0751);
	w.ed.allow_setuid = true;
	assert_int_equal(weld_write(&w, path("out")), 0);
	mode_of(path("out"), 06751);
	weld_close(&w);
}

static void patch_outside_is_refused(void **state)
{
	struct weld w;

	(void)state;
	assert_int_equal(weld_open(&w, path("pie")), 0);
	w.ed.nedit = 1;
	w.edit.vaddr = w.room.rx_vaddr - 4;
	assert_int_equal(weld_write(&w, path("out3")), -1);
	assert_int_equal(w.e.at, w.edit.vaddr);
	weld_close(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restores),
		cmocka_unit_test(evicted_is_found),
		cmocka_unit_test(static_gets_frame_table),
		cmocka_unit_test(no_sections_moves_table),
		cmocka_unit_test(failure_leaves_nothing),
		cmocka_unit_test(setuid_is_dropped),
		cmocka_unit_test(patch_outside_is_refused),
	};
	struct weld w;

	if (argc != 3)
		return cmocka_run_group_tests(tests, setup, teardown);
	if (weld_open(&w, argv[1]) || weld_write(&w, argv[2])) {
		err_print(stderr, &w.e);
		return 1;
	}
	printf("%s, %zu evicted\n",
	       w.room.move_table ? "table moved" : "table in place",
	       w.room.nevicted);
	weld_close(&w);
	return 0;
}
