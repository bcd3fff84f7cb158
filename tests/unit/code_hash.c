/* SPDX-License-Identifier: MIT */
/* code_hash.c - the inline part of hash lookups: whatever is in the table, the
 * result is the stub's, and the first element of a bucket needs no call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rewriter/code/compile.h"
#include "runtime-stub/hash.c"
#include "runtime-stub/hold.c"

#include <cmocka.h>

enum { REGION = 1 << 16, DATA = 4096, CODE = 4096, KEYS = 24, VALUE = 12 };
const struct weld_info weld_info;

void *cpu_value(const struct region_map *m, uint64_t index, struct run *run)
{
	(void)m, (void)index, (void)run;
	return NULL;
}

bool cpu_put(const struct region_map *m, uint64_t index, const void *value,
	     struct run *run)
{
	(void)m, (void)index, (void)value, (void)run;
	return false;
}

/* (There is one process.) */
uint64_t own_writer(void)
{
	return 1;
}

bool own_is_dead(uint64_t owner, uint64_t us)
{
	return owner != us;
}

uint8_t weld_region[REGION] __attribute__((aligned(4096)));

// clang-format off
#define INSN(c, d, s, o, i) \
	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOV(d, s)    INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)   INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADDI(d, i)   INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LD(d, s, o)  INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define ST(d, o, s)  INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define MAP(d) \
	INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, 0), { 0 }
#define JEQ(d, i, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define JNE(d, i, o) INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define CALL(id)     INSN(BPF_JMP | BPF_CALL, 0, 0, 0, id)
#define EXIT         INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* void *program(const void *key): the lookup's result, whatever follows it.
 * NULL is turned into 1 where there is a test. */
static const struct bpf_insn plain[] = {
	MOV(2, 1), MAP(1), CALL(1), EXIT,
};
static const struct bpf_insn on_stack[] = {
	LD(3, 1, 0), ST(10, -16, 3), LD(3, 1, 8), ST(10, -8, 3),
	MOV(2, 10), ADDI(2, -16), MAP(1), CALL(1), EXIT,
};
static const struct bpf_insn then_jeq[] = {
	MOV(2, 1), MAP(1), CALL(1), JEQ(0, 0, 1), EXIT, MOVI(0, 1), EXIT,
};
static const struct bpf_insn then_jne[] = {
	MOV(2, 1), MAP(1), CALL(1), JNE(0, 0, 1), MOVI(0, 1), EXIT,
};
static const struct {
	const struct bpf_insn *insn;
	uint32_t n;
	uint64_t null; /* what it makes of NULL */
} programs[] = {
	{ plain, sizeof(plain) / sizeof(*plain), 0 },
	{ on_stack, sizeof(on_stack) / sizeof(*on_stack), 0 },
	{ then_jeq, sizeof(then_jeq) / sizeof(*then_jeq), 1 },
	{ then_jne, sizeof(then_jne) / sizeof(*then_jne), 1 },
};
// clang-format on
enum { PROGRAMS = sizeof(programs) / sizeof(*programs) };

typedef uint64_t program(const void *key);
static program *run[PROGRAMS];
static struct region_map map;
static unsigned calls;

static uint64_t helper(uint64_t m, uint64_t key)
{
	calls++;
	return (uint64_t)hash_lookup((const void *)m, (const void *)key);
}

static uint64_t helper_at(uint32_t id)
{
	return id == 1 ? (uint64_t)helper : 0;
}

/* Within 2 GiB of weld_region. */
static uint8_t *near_region(void)
{
	uint64_t hint = ((uint64_t)weld_region & ~UINT64_C(0xfff)) + (1 << 28);

	for (int i = 0; i < 16; i++, hint += 1 << 26) {
		void *p = mmap(
			(void *)hint, CODE, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			0);

		if (p != MAP_FAILED)
			return p;
	}
	return NULL;
}

static void programs_make(void)
{
	static uint8_t *to;
	struct bpf_map_def def = { .type = BPF_MAP_TYPE_HASH,
				   .key_size = map.key_size,
				   .value_size = map.value_size,
				   .max_entries = map.max_entries };
	struct bpf_set set = { .map = &def, .nmap = 1 };
	struct region region = { .map = &map, .nmap = 1 };
	/* The map's description is where a program finds it in RX. */
	struct code_env env = { .set = &set,
				.region = &region,
				.helper = helper_at };
	struct arena a = { 0 };
	struct code c = { .a = &a };
	uint32_t sub[1] = { 0 };
	struct err e;

	to = to ? to : near_region();
	assert_non_null(to);
	c.vaddr = (uint64_t)to;
	env.info_vaddr = (uint64_t)&map;
	for (int i = 0; i < PROGRAMS; i++) {
		struct bpf_prog p = { .name = "p",
				      .section = "p",
				      .sub = sub,
				      .insn = (void *)programs[i].insn,
				      .ninsn = programs[i].n,
				      .nsub = 1 };
		uint64_t at;

		if (code_function(&c, &env, 0, &p, 0, &at, &e))
			fail_msg("%s", e.what);
		run[i] = (program *)at;
	}
	code_resolve(&c, (uint64_t)weld_region);
	assert_false(c.too_far || c.n > CODE);
	memcpy(to, c.p, c.n);
	arena_free(&a);
}

static void map_make(uint32_t key_size, uint32_t buckets)
{
	memset(weld_region, 0, sizeof(weld_region));
	map = (struct region_map){
		.type = BPF_MAP_TYPE_HASH,
		.key_size = key_size,
		.value_size = VALUE,
		.max_entries = KEYS,
		.key_at = hash_key_at(BPF_MAP_TYPE_HASH, VALUE),
		.stride = hash_stride(BPF_MAP_TYPE_HASH, key_size, VALUE, 0),
		.data = DATA,
		.buckets = buckets,
	};
	map.size = hash_pool(buckets) + (KEYS + HASH_SPARE) * map.stride;
	assert_true(DATA + map.size <= REGION);
}

/* Keys that differ in one word only, the other ones being alike. */
static void nth_key(uint32_t i, uint64_t key[2])
{
	key[0] = i & 1 ? 7 : i + 1;
	key[1] = i & 1 ? i : 9;
	if (map.key_size < 16)
		key[0] = (i + 1) * UINT64_C(0x100000001);
}

static bool is_first(const void *key, const void *value)
{
	uint64_t *bucket =
		(uint64_t *)(weld_region + DATA + sizeof(struct hash_head));
	uint64_t w = bucket[hash_key(key, map.key_size) & (map.buckets - 1)];
	const uint8_t *elem = weld_region + DATA + hash_pool(map.buckets) +
			      ((uint32_t)w - 1) * map.stride;

	return !link_ends(w) && value == elem + hash_value_at(&map);
}

static void lookups_agree(void)
{
	uint64_t key[2];

	for (uint32_t i = 0; i < KEYS; i++) {
		void *want;

		nth_key(i, key);
		want = hash_lookup(&map, key);
		for (int p = 0; p < PROGRAMS; p++) {
			uint64_t null = programs[p].null;

			calls = 0;
			assert_int_equal(run[p](key),
					 want ? (uint64_t)want : null);
			assert_int_equal(calls, !is_first(key, want));
		}
	}
}

static void inline_agrees_with_stub(void **state)
{
	static const uint32_t key_sizes[] = { 4, 8, 16 };
	static const uint32_t buckets[] = { 1, 4, 256 };
	uint64_t key[2];
	uint8_t value[VALUE] = { 0 };

	(void)state;
	srand(1);
	for (int k = 0; k < 3; k++)
		for (int b = 0; b < 3; b++) {
			map_make(key_sizes[k], buckets[b]);
			programs_make();
			for (int step = 0; step < 200; step++) {
				nth_key((uint32_t)rand() % KEYS, key);
				if (rand() % 3)
					hash_update(&map, key, value, 0);
				else
					hash_delete(&map, key);
				lookups_agree();
			}
		}
}

/* A process may have been killed between marking and unlinking. */
static void marked_elements_are_not_found(void **state)
{
	uint64_t key[2], word;
	uint8_t value[VALUE] = { 0 };
	struct hash_elem *e;

	(void)state;
	map_make(8, 1);
	programs_make();
	nth_key(3, key);
	hash_update(&map, key, value, 0);
	word = *(uint64_t *)(weld_region + DATA + sizeof(struct hash_head));
	e = (void *)(weld_region + DATA + hash_pool(1) +
		     ((uint32_t)word - 1) * map.stride);
	assert_int_equal(run[0](key), (uint64_t)hash_lookup(&map, key));
	assert_true(run[0](key));
	e->next |= LINK_MARK;
	assert_int_equal(run[0](key), 0);
	assert_int_equal(run[2](key), 1);
}

/* Others may have written anything to the region. */
static void wild_links_lead_nowhere(void **state)
{
	uint64_t *bucket =
		(uint64_t *)(weld_region + DATA + sizeof(struct hash_head));
	uint64_t key[2];

	(void)state;
	map_make(8, 1);
	programs_make();
	nth_key(3, key);
	for (uint64_t low = KEYS + HASH_SPARE + 1; low; low <<= 1) {
		*bucket = low;
		assert_int_equal(run[0](key), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inline_agrees_with_stub),
		cmocka_unit_test(marked_elements_are_not_found),
		cmocka_unit_test(wild_links_lead_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
