/* SPDX-License-Identifier: MIT */
/* bpf_load: what comes out of objects, and the sentences that come out of bad
 * ones.  Objects are tests/bpf/NAME.bpf.c, compiled into obj/.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "rewriter/bpf/bpf.h"

#include <cmocka.h> /* last: it has a macro fail() */

static struct arena arena;
static struct bpf_set set;
static struct err err;

/* obj/ stands beside the directory of the test programs. */
static const char *object(const char *name)
{
	char self[4096] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	while (n > 0 && self[n - 1] != '/')
		n--;
	return arena_printf(&arena, "%.*s../obj/%s.bpf.o", (int)n, self, name);
}

static int load(const char *name, const char *assignment)
{
	const char *path = object(name);

	bpf_unload(&set); /* what is left of a bad one */
	return bpf_load(&arena, &path, 1, &assignment, assignment != NULL, &set,
			&err);
}

static void load_ok(const char *name, const char *assignment)
{
	if (load(name, assignment))
		fail_msg("%s: %s", name, err.what);
}

static void load_bad(const char *name, const char *assignment, int kind,
		     const char *text)
{
	assert_int_equal(load(name, assignment), -1);
	if (!strstr(err.what, text))
		fail_msg("'%s' is not in '%s'", text, err.what);
	assert_int_equal(err.kind, kind);
}

static int done(void **state)
{
	(void)state;
	bpf_unload(&set);
	arena_free(&arena);
	memset(&set, 0, sizeof(set));
	return 0;
}

static const struct bpf_map_def *map(const char *name)
{
	uint32_t i;

	for (i = 0; i < set.nmap; i++)
		if (!strcmp(set.map[i].name, name))
			return &set.map[i];
	fail_msg("no map %s", name);
	return NULL;
}

static const struct bpf_prog *prog(const char *name)
{
	uint32_t i;

	for (i = 0; i < set.nprog; i++)
		if (!strcmp(set.prog[i].name, name))
			return &set.prog[i];
	fail_msg("no program %s", name);
	return NULL;
}

static bool calls(const struct bpf_prog *p, int helper)
{
	uint32_t i;

	for (i = 0; i < p->ninsn; i++)
		if (p->insn[i].code == (BPF_JMP | BPF_CALL) &&
		    !p->insn[i].src_reg && p->insn[i].imm == helper)
			return true;
	return false;
}

static void maps_and_data(void **state)
{
	static const uint8_t kconfig[5] = { 0x00, 0x0c, 0x06, 0x00, 0 };
	const struct bpf_map_def *m;

	(void)state;
	load_ok("load", NULL);
	m = map("counts");
	assert_int_equal(m->type, BPF_MAP_TYPE_HASH);
	assert_int_equal(m->max_entries, 100);
	assert_int_equal(m->value_size, 8);
	assert_true(m->btf_key && m->btf_value);
	assert_int_equal(map("load.rodata")->data, DATA_RODATA);
	assert_int_equal(map("load.bss")->initial.n, 8);
	assert_int_equal(map("load.bss")->data, DATA_BSS);
	m = map("load.kconfig"); /* 6.12.0, and an absent bool */
	assert_int_equal(m->data, DATA_KCONFIG);
	assert_memory_equal(m->initial.p, kconfig, sizeof(kconfig));
}

static void programs(void **state)
{
	const struct bpf_prog *p;

	(void)state;
	load_ok("load", NULL);
	assert_int_equal(set.nprog, 2);
	p = prog("whole");
	assert_string_equal(p->section, "uprobe/app:main");
	assert_int_equal(p->nsub, 3); /* outer and inner, inner once */
	assert_int_equal(p->sub[0], 0);
	assert_int_equal(p->stack, 8);
	/* the first call goes to the function that was appended first */
	assert_int_equal(p->insn[2].src_reg, BPF_PSEUDO_CALL);
	assert_int_equal(2 + 1 + p->insn[2].imm, p->sub[1]);
	assert_non_null(strstr(bpf_where(&arena, p, p->sub[1]),
			       "load.bpf.c:48: return inner(x) + 1;"));
	/* verbose is false, the kernel new: neither call is reached */
	assert_false(calls(p, BPF_FUNC_get_current_cgroup_id));
	assert_false(calls(p, BPF_FUNC_override_return));
	assert_true(calls(p, BPF_FUNC_map_lookup_elem));
}

/* Every data reference stays inside its section and hits the variable. */
static void references(void **state)
{
	const struct bpf_prog *p;
	uint64_t seen = 0;
	uint32_t i;

	(void)state;
	load_ok("load", NULL);
	p = prog("whole");
	for (i = 0; i < p->ninsn; i++) {
		const struct bpf_insn *insn = &p->insn[i];
		const struct bpf_map_def *m = &set.map[insn->imm];

		if (insn->code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		i++;
		if (insn->src_reg != BPF_PSEUDO_MAP_VALUE ||
		    m->data != DATA_DATA)
			continue;
		assert_in_range(insn[1].imm, 0, m->initial.n - 4);
		seen |= 1 << m->initial.p[insn[1].imm];
	}
	assert_int_equal(seen, 1 << 5 | 1 << 6 | 1 << 7);
}

static void core(void **state)
{
	const struct bpf_prog *p;

	(void)state;
	load_ok("load", NULL);
	p = prog("core"); /* mov, ldx si, ldx ip (made 8 bytes wide), .. */
	assert_int_equal(p->insn[1].off, 104);
	assert_int_equal(p->insn[2].off, 128);
	assert_int_equal(p->insn[2].code, BPF_LDX | BPF_MEM | BPF_DW);
	assert_false(calls(p, 195896080)); /* the dead read of task_struct */
}

static void optional(void **state)
{
	(void)state;
	load_ok("load", NULL);
	assert_int_equal(set.nnote, 1);
	assert_non_null(strstr(set.note[0], "load.bpf.o: extern "
					    "'CONFIG_NOT_THERE' has no value "
					    "in user space: it is 0"));
	assert_int_equal(set.nunusable, 1);
	assert_string_equal(set.unusable[0].name, "optional");
	assert_non_null(strstr(set.unusable[0].why.what,
			       "program 'optional' (load.bpf.c:84): helper "
			       "bpf_get_current_cgroup_id#80: needs control"));
}

/* As if it were SEC("?..."). */
static void not_wanted(void **state)
{
	const char *without[] = { "other", "reads_task" };

	(void)state;
	set.without = without;
	set.nwithout = 2;
	load_ok("core_needs", NULL);
	assert_int_equal(set.nprog, 0);
	assert_int_equal(set.nunusable, 1);
	assert_string_equal(set.unusable[0].name, "reads_task");
	assert_non_null(strstr(set.unusable[0].why.what, "task_struct.mm"));
}

static void two_objects(void **state)
{
	const char *paths[2];

	(void)state;
	paths[0] = object("load");
	paths[1] = object("kfunc");
	assert_int_equal(bpf_load(&arena, paths, 2, NULL, 0, &set, &err), 0);
	assert_int_equal(set.nobject, 2);
	assert_string_equal(set.object[0].name, "load");
	assert_int_equal(prog("asks")->object, 1);
	assert_int_equal(prog("whole")->object, 0);
}

static void set_values(void **state)
{
	const struct bpf_map_def *m;
	static const uint8_t fast[] = { 0xfc, 0xff, 0xff, 0xff };
	static const int64_t two = -2;

	(void)state;
	load_ok("load", "target=0x10");
	m = map("load.rodata");
	assert_non_null(memmem(m->initial.p, m->initial.n, "\x10\0\0\0", 4));
	bpf_unload(&set);
	load_ok("load", "who=\"hello\"");
	m = map("load.rodata");
	assert_non_null(memmem(m->initial.p, m->initial.n, "hello\0\0", 8));
	bpf_unload(&set);
	load_ok("load", "mode=FAST");
	m = map("load.rodata");
	assert_non_null(memmem(m->initial.p, m->initial.n, fast, 4));
	bpf_unload(&set);
	load_ok("load", "second=-2"); /* static, not the first of its section */
	m = map("load.data");
	assert_non_null(memmem(m->initial.p, m->initial.n, &two, 8));
	assert_non_null(memmem(m->initial.p, m->initial.n, "\5\0\0\0", 4));
	assert_non_null(memmem(m->initial.p, m->initial.n, "\7\0\0\0", 4));
	bpf_unload(&set);
	load_bad("load", "verbose=1", ERR_UNSUPPORTED, /* now it is reached */
		 "helper bpf_get_current_cgroup_id#80: needs control");
}

static void set_refused(void **state)
{
	(void)state;
	load_bad("load", "targt=1", ERR_USAGE, "did you mean target?");
	load_bad("load", "target", ERR_USAGE, "not VAR=VALUE");
	load_bad("load", "target=2147483648", ERR_USAGE, "out of range");
	load_bad("load", "target=-2147483649", ERR_USAGE, "out of range");
	load_bad("load", "small=256", ERR_USAGE, "out of range");
	load_bad("load", "small=-1", ERR_USAGE, "out of range");
	load_bad("load", "verbose=2", ERR_USAGE, "out of range");
	load_bad("load", "verbose=maybe", ERR_USAGE, "not true, false");
	load_bad("load", "who=12345678", ERR_USAGE, "room for 7 characters");
	load_bad("load", "mode=MEDIUM", ERR_USAGE, "no such enumerator");
	load_bad("load", "target=1x", ERR_USAGE, "not a number");
	load_ok("load", "target=-2147483648");
}

/* Neither of a session's programs is there without the other. */
static void session(void **state)
{
	(void)state;
	load_ok("session_half", NULL);
	assert_int_equal(set.nprog, 1);
	assert_string_equal(set.prog[0].name, "whole");
	assert_int_equal(set.nunusable, 1);
	assert_string_equal(set.unusable[0].name, "half");
	assert_false(set.unusable[0].wanted);
}

static void refused(void **state)
{
	(void)state;
	load_bad("core_needs", NULL, ERR_UNSUPPORTED,
		 "program 'reads_task' (core_needs.bpf.c:18): kernel field "
		 "'task_struct.mm' does not exist in user space");
	load_bad("core_file", NULL, ERR_UNSUPPORTED,
		 "program 'reads_file' (core_file.bpf.c:15): kernel field "
		 "'file.f_flags' does not exist in user space (if it means "
		 "user memory, take the type from its own header, not from "
		 "vmlinux.h)");
	load_bad("core_wide", NULL, ERR_UNSUPPORTED,
		 "program 'takes' (core_wide.bpf.c:17): kernel field "
		 "'task_struct.pid' has another size in user space");
	load_bad("core_small", NULL, ERR_UNSUPPORTED,
		 "field 'task_struct.tgid' has another size");
	load_bad("core_bits", NULL, ERR_UNSUPPORTED,
		 "field 'task_struct.pid' does not exist");
	load_bad("core_written", NULL, ERR_UNSUPPORTED,
		 "or cannot be written");
	load_bad("kconfig_strong", NULL, ERR_UNSUPPORTED,
		 "extern 'CONFIG_HZ' has no value");
	load_bad("slot_session", NULL, ERR_FAILED,
		 "map 'jumps': values[3] is a program for entry and return: "
		 "'both'");
	load_bad("slot_unusable", NULL, ERR_FAILED,
		 "map 'jumps': program 'impossible'");
	assert_false(set.rest); /* the object is wrong, not a program */
	load_bad("spin_lock", NULL, ERR_UNSUPPORTED,
		 "program 'locks': the kernel lets no tracing program have map "
		 "'guarded', as its values hold a struct bpf_spin_lock");
	load_bad("ours", NULL, ERR_FAILED,
		 "program 'knows': call of unknown helper #252");
	assert_true(set.rest);
	load_bad("ours_cookie", NULL, ERR_FAILED,
		 "program 'knows': call of unknown helper #2119499776");
	load_bad("kfunc_strong", NULL, ERR_UNSUPPORTED,
		 "kernel function 'must_be_there' is not supported");
	load_bad("data_pointer", NULL, ERR_UNSUPPORTED,
		 "'.data' holds a pointer to '.rodata.str1.1'");
}

static void bytes_bad(const void *p, size_t n, const char *text)
{
	struct bpf_input in = { "x.bpf.o", { p, n } };

	assert_int_equal(bpf_load_bytes(&arena, &in, 1, NULL, 0, &set, &err),
			 -1);
	if (!strstr(err.what, text))
		fail_msg("'%s' is not in '%s'", text, err.what);
}

static void not_objects(void **state)
{
	uint8_t *copy;
	size_t n;

	(void)state;
	bytes_bad("", 0, "empty file");
	bytes_bad("#!/bin/sh\n", 10, "not an ELF file");
	bytes_bad("\177ELF", 4, "truncated ELF header");
	load_bad("no-such-file", NULL, ERR_FAILED, "No such file");
	load_ok("load", NULL);
	n = set.object[0].bytes.n;
	copy = arena_dup(&arena, set.object[0].bytes.p, n);
	bpf_unload(&set);
	bytes_bad(copy, n / 2, "");
	copy[18] = 62; /* e_machine: x86-64 */
	bytes_bad(copy, n, "not a BPF object");
}

static Elf64_Shdr header_of(const uint8_t *p, unsigned section)
{
	Elf64_Shdr sh;
	Elf64_Ehdr h;

	memcpy(&h, p, sizeof(h));
	if (section >= h.e_shnum)
		return (Elf64_Shdr){ 0 };
	memcpy(&sh, p + h.e_shoff + section * sizeof(sh), sizeof(sh));
	return sh;
}

/* Data sections' symbols as far away as can be: no sum of theirs overflows. */
static void far_symbols(void **state)
{
	Elf64_Shdr table = { 0 };
	Elf64_Sym y;
	uint8_t *p;
	size_t n;

	(void)state;
	load_ok("load", NULL);
	n = set.object[0].bytes.n;
	p = arena_dup(&arena, set.object[0].bytes.p, n);
	bpf_unload(&set);
	for (unsigned i = 1; table.sh_type != SHT_SYMTAB; i++)
		table = header_of(p, i);
	for (uint64_t at = 0; at < table.sh_size; at += sizeof(y)) {
		uint8_t *to = p + table.sh_offset + at;

		memcpy(&y, to, sizeof(y));
		if (ELF64_ST_TYPE(y.st_info) != STT_SECTION ||
		    header_of(p, y.st_shndx).sh_flags & SHF_EXECINSTR)
			continue;
		y.st_value = INT64_MAX;
		memcpy(to, &y, sizeof(y));
	}
	bytes_bad(p, n, "reference outside");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(maps_and_data, done),
		cmocka_unit_test_teardown(programs, done),
		cmocka_unit_test_teardown(references, done),
		cmocka_unit_test_teardown(core, done),
		cmocka_unit_test_teardown(optional, done),
		cmocka_unit_test_teardown(not_wanted, done),
		cmocka_unit_test_teardown(two_objects, done),
		cmocka_unit_test_teardown(set_values, done),
		cmocka_unit_test_teardown(set_refused, done),
		cmocka_unit_test_teardown(session, done),
		cmocka_unit_test_teardown(refused, done),
		cmocka_unit_test_teardown(not_objects, done),
		cmocka_unit_test_teardown(far_symbols, done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
