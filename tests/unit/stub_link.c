/* SPDX-License-Identifier: MIT */
/* The stub, linked into memory and run; and what its object may contain. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include "rewriter/code/stub.h"
#include "rewriter/region.h"
#include "runtime-stub/vm.h"
/* Behind ours: it makes fail() a macro. */
#include <cmocka.h>

extern const uint8_t stub_blob[], stub_blob_end[];

typedef uint64_t helper_fn(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static const uint8_t id[16] = { 1 };
static struct bpf_map_def maps[] = {
	{ .name = "a", .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
	  .value_size = 8, .max_entries = 2 },
	{ .name = "h", .type = BPF_MAP_TYPE_HASH, .key_size = 8,
	  .value_size = 8, .max_entries = 8 },
};

struct linked {
	struct arena a;
	struct code rx;
	struct region region;
	struct stub stub;
	uint64_t info, rw;
	struct err e;
};
enum { AREA = 4 << 20 };

/* Link at an address that we own, RW behind RX. */
static int link_at(struct linked *l, uint64_t at, const char *const *root,
		   size_t nroot, size_t next)
{
	struct bpf_set set = { .map = maps, .nmap = 2 };
	struct stub_extern ext[] = { { .name = "weld_info" },
				     { .name = "weld_fault_arm", .vaddr = at },
				     { .name = "weld_clock_use", .vaddr = at },
				     { .name = "weld_libs_seen", .vaddr = at },
				     { .name = "weld_pins_map", .vaddr = at },
				     { .name = "weld_pins_tell", .vaddr = at },
				     { .name = "weld_room_for", .vaddr = at },
				     { .name = "weld_orig_entry", .vaddr = at },
				     { .name = "weld_orig_init", .vaddr = at } };

	memset(l, 0, sizeof(*l));
	l->rx.a = &l->a;
	l->rx.vaddr = at;
	assert_int_equal(region_plan(&l->a, &set, 3, 4, id, &l->region, &l->e), 0);
	code_bytes(&l->rx, "weld header stands here........", 32);
	code_align(&l->rx, 16, 0);
	ext[0].vaddr = l->info = code_here(&l->rx);
	code_bytes(&l->rx, l->region.info.p, l->region.info.n);
	if (stub_link(&l->rx, root, nroot, ext, next, l->region.size, 0, &l->stub,
		      &l->e))
		return -1;
	l->rw = align_up(code_here(&l->rx), 4096);
	code_resolve(&l->rx, l->rw);
	assert_false(l->rx.too_far);
	return 0;
}

static void load(struct linked *l)
{
	uint8_t *p = (uint8_t *)l->rx.vaddr;

	assert_true(l->rw + l->stub.rw_memsz <= l->rx.vaddr + AREA);
	memcpy(p, l->rx.p, l->rx.n);
	memcpy((uint8_t *)l->rw, l->stub.data.p, l->stub.data.n);
	assert_int_equal(mprotect(p, l->rw - l->rx.vaddr,
				  PROT_READ | PROT_EXEC),
			 0);
}

static uint64_t area(void)
{
	void *p = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return (uint64_t)p;
}

static helper_fn *symbol(struct linked *l, const char *name)
{
	uint64_t at = stub_symbol(&l->stub, name);

	assert_int_not_equal(at, 0);
	return (helper_fn *)at;
}

static void linked_helpers_run(void **state)
{
	const char *root[] = { "weld_arm", "helper_map_update_elem",
			       "helper_map_lookup_elem",
			       "helper_get_prandom_u32", "weld_entry",
			       "weld_init" };
	uint64_t map, key = 1, value = 77, got;
	struct linked l;

	(void)state;
	assert_int_equal(link_at(&l, area(), root, 6, 9), 0);
	load(&l);
	map = l.info + l.region.info_maps;
	for (int i = 0; i < 2; i++, map += sizeof(struct region_map)) {
		assert_int_equal(symbol(&l, root[1])(map, (uint64_t)&key,
						     (uint64_t)&value, 0, 0),
				 0);
		got = symbol(&l, root[2])(map, (uint64_t)&key, 0, 0, 0);
		assert_in_range(got,
				l.rw + l.stub.region_rw + l.region.map[i].data,
				l.rw + l.stub.rw_memsz - 8);
		assert_int_equal(*(uint64_t *)got, 77);
	}
	assert_int_not_equal(symbol(&l, root[3])(0, 0, 0, 0, 0),
			     symbol(&l, root[3])(0, 0, 0, 0, 0));
	assert_int_equal(l.stub.region_rw % 4096, 0);
	munmap((void *)l.rx.vaddr, AREA);
	arena_free(&l.a);
}

/* The VM has jump tables: data that refers to code. */
static void linked_vm_runs(void **state)
{
	const char *root[] = { "weld_vm" };
	const struct bpf_insn prog[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1,
		  .src_reg = BPF_PSEUDO_MAP_FD, .imm = 1 }, { 0 },
		{ .code = BPF_ST | BPF_DW | BPF_MEM, .dst_reg = 10, .off = -8,
		  .imm = 9 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2,
		  .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2,
		  .imm = -8 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3,
		  .src_reg = 2 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_update_elem },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1,
		  .src_reg = BPF_PSEUDO_MAP_FD, .imm = 1 }, { 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2,
		  .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2,
		  .imm = -8 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .off = 2 },
		{ .code = BPF_LDX | BPF_DW | BPF_MEM, .dst_reg = 0,
		  .src_reg = 0 },
		{ .code = BPF_ALU | BPF_MUL | BPF_K, .imm = 5 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct linked l;
	struct hit hit = { 0 };

	(void)state;
	assert_int_equal(link_at(&l, area(), root, 1, 1), 0);
	load(&l);
	assert_int_equal(symbol(&l, "weld_vm")((uint64_t)prog, (uint64_t)&hit,
					       0, 0, 0),
			 45);
	munmap((void *)l.rx.vaddr, AREA);
	arena_free(&l.a);
}

static void what_is_not_reached_is_left_out(void **state)
{
	const char *one[] = { "helper_get_func_ip" }, *vm[] = { "weld_vm" };
	struct linked l;
	size_t small;

	(void)state;
	assert_int_equal(link_at(&l, 0x10000, one, 1, 0), 0);
	small = l.rx.n - l.region.info.n;
	assert_true(small < 256);
	assert_true(l.stub.eh_frame.n < 100);
	assert_int_equal(stub_symbol(&l.stub, "helper_map_lookup_elem"), 0);
	arena_free(&l.a);
	assert_int_equal(link_at(&l, 0x10000, vm, 1, 1), 0);
	assert_true(l.rx.n > 4096);
	arena_free(&l.a);
}

static void what_is_missing_is_named(void **state)
{
	const char *none[] = { "helper_none" }, *init[] = { "weld_init" };
	struct linked l;

	(void)state;
	assert_int_equal(link_at(&l, 0x10000, none, 1, 9), -1);
	assert_string_equal(l.e.what, "the runtime stub has no helper_none");
	arena_free(&l.a);
	assert_int_equal(link_at(&l, 0x10000, init, 1, 8), -1);
	assert_string_equal(l.e.what, "the runtime stub needs weld_orig_init");
	arena_free(&l.a);
}

/* Every FDE names code of the stub, and every function has one. */
static void frames_follow_their_functions(void **state)
{
	const char *root[] = { "weld_arm", "helper_trace_printk" };
	struct linked l;
	uint32_t len, cie, fdes = 0, size;
	int32_t rel;
	uint64_t pc, arm = 0;

	(void)state;
	assert_int_equal(link_at(&l, 0x10000, root, 2, 7), 0);
	for (size_t at = 0; at < l.stub.eh_frame.n; at += 4 + len) {
		const uint8_t *p = l.stub.eh_frame.p + at;

		memcpy(&len, p, 4);
		memcpy(&cie, p + 4, 4);
		if (!cie)
			continue;
		assert_true(cie <= at + 4);
		memcpy(&size, l.stub.eh_frame.p + at + 4 - cie + 4, 4);
		assert_int_equal(size, 0); /* it is a CIE there */
		memcpy(&rel, p + 8, 4);
		memcpy(&size, p + 12, 4);
		pc = l.stub.eh_frame_vaddr + at + 8 + (uint64_t)(int64_t)rel;
		assert_in_range(pc, l.info, code_here(&l.rx) - size);
		if (pc == stub_symbol(&l.stub, "weld_arm"))
			arm = size;
		fdes++;
	}
	assert_true(arm >= 20);
	assert_in_range(fdes, 10, 150);
	arena_free(&l.a);
}

static void the_object_is_position_independent(void **state)
{
	const Elf64_Ehdr *eh = (const void *)stub_blob;
	const Elf64_Shdr *sh = (const void *)(stub_blob + eh->e_shoff);
	static const char *const allowed[] = { "",
					       "weld_info",
					       "weld_fault_arm",
					       "weld_clock_use",
					       "weld_libs_seen",
					       "weld_pins_map",
					       "weld_pins_tell",
					       "weld_room_for",
					       "weld_region",
					       "weld_returns",
					       "weld_stacks",
					       "weld_own",
					       "weld_orig_entry",
					       "weld_orig_init" };

	(void)state;
	for (int i = 0; i < eh->e_shnum; i++) {
		const void *p = stub_blob + sh[i].sh_offset;
		size_t n = sh[i].sh_entsize ? sh[i].sh_size / sh[i].sh_entsize
					    : 0;

		for (size_t k = 0; sh[i].sh_type == SHT_RELA && k < n; k++) {
			uint32_t type =
				ELF64_R_TYPE(((const Elf64_Rela *)p)[k].r_info);

			assert_true(type == R_X86_64_PC32 ||
				    type == R_X86_64_PLT32);
			assert_false(sh[sh[i].sh_info].sh_flags & SHF_WRITE);
		}
		for (size_t k = 0; sh[i].sh_type == SHT_SYMTAB && k < n; k++) {
			const Elf64_Sym *s = (const Elf64_Sym *)p + k;
			const char *name = (const char *)stub_blob +
					   sh[sh[i].sh_link].sh_offset +
					   s->st_name;
			int ok = 0;

			for (size_t w = 0;
			     w < sizeof(allowed) / sizeof(*allowed); w++)
				ok |= !strcmp(name, allowed[w]);
			if (s->st_shndx == SHN_UNDEF && !ok)
				fail_msg("undefined: %s", name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linked_helpers_run),
		cmocka_unit_test(linked_vm_runs),
		cmocka_unit_test(what_is_not_reached_is_left_out),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(frames_follow_their_functions),
		cmocka_unit_test(the_object_is_position_independent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
