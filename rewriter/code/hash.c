/* SPDX-License-Identifier: MIT */
/* hash.c - lookups in hash maps whose key is one or two words.
 *
 * Nearly all end at their bucket's first element, and to call the stub for
 * that costs more than the lookup.  So the first step of runtime-stub/hash.c's
 * walk stands in the program; whatever else there may be (an empty bucket, a
 * second element, one that is being deleted) goes to the helper:
 *
 *         mov    KEY, %rax                    rax, rdx = hash_key()
 *         ...
 *         and    $buckets-1, %eax
 *         lea    map's first bucket, %rdx
 *         lea    (%rdx,%rax,8), %rdi          the bucket
 *         mov    (%rdi), %rax                 its link word
 *         lea    -1(%rax), %ecx               the element's number; no number
 *         cmp    $elements, %ecx              when the list ends here
 *         jae    slow
 *         imul   $stride, %rcx
 *         add    %rcx, %rdx                   (further offsets are constant)
 *         mov    state(%rdx), %rcx
 *         testb  $1, next+4(%rdx)             deleted?
 *         jne    slow
 *         cmp    (%rdi), %rax                 does the bucket still lead here?
 *         jne    slow
 *         mov    KEY, %rax
 *         cmp    %rax, key(%rdx)
 *         jne    slow
 *         cmp    %rcx, state(%rdx)            key and value of one insertion?
 *         jne    slow
 *         lea    value(%rdx), %rax
 *         jmp    done
 *   slow: lea    map, %rdi
 *         lea    KEY, %rsi
 *         call   helper_map_lookup_elem
 *         test   %rax, %rax                   a NULL test right behind the
 *         je     where it goes with NULL      lookup is part of it
 *   done:
 *
 * Where maps have values for each CPU, the value is not in the element:
 *
 *         cmpq   $0, run.cpu                  does this run own a CPU yet?
 *         je     slow
 *         imul   $stride, %r11                the element's number, or the index
 *         lea    first CPU's values, %rax
 *         add    run.area, %rax
 *         add    %r11, %rax
 *
 * Programs with such lookups have the calling convention's registers.
 */
#include "rewriter/code/gen.h"
#include "runtime-stub/cpu.h"
#include "runtime-stub/hash.h"

enum { SLOW_MAX = 7 };
struct lookup {
	struct gen *g;
	struct code *c;
	struct mem key, elem; /* elem.disp: from rdx to the element */
	const struct region_map *map;
	uint32_t key_size;
	size_t slow[SLOW_MAX];
	int nslow;
};

static void slow_if(struct lookup *l, int cond)
{
	l->slow[l->nslow++] = x86_skip(l->c, cond);
}

static struct mem elem_at(const struct lookup *l, size_t off)
{
	struct mem m = l->elem;

	m.disp += (int32_t)off;
	return m;
}

static struct mem key_at(const struct lookup *l, size_t off)
{
	struct mem m = l->key;

	m.disp += (int32_t)off;
	return m;
}

/* rax = hash_mix(rax, c) */
static void mix(struct code *c, uint64_t by)
{
	x86_set(c, RDX, (int64_t)by);
	x86_rr(c, 8, 0xf7, 4, RDX); /* mul */
	x86_alu(c, 8, ALU_XOR, RAX, RDX);
}

/* rax = hash_key(), its low half at least */
static void key_hash(struct lookup *l)
{
	struct mem second = key_at(l, 8);

	x86_load(l->c, l->key_size == 4 ? 4 : 8, false, RAX, &l->key);
	x86_set(l->c, RDX, (int64_t)HASH_C1);
	x86_alu(l->c, 8, ALU_XOR, RAX, RDX);
	mix(l->c, HASH_C2);
	if (l->key_size == 16) {
		x86_rm(l->c, 8, 0x33, RAX, &second, 0); /* xor */
		mix(l->c, HASH_C1);
	}
}

/* reg *= by */
static void times(struct code *c, int reg, uint32_t by)
{
	unsigned n;

	if (power_of_two(by, &n)) {
		x86_shift(c, 8, SHIFT_SHL, reg, n);
		return;
	}
	x86_rr(c, 8, 0x69, reg, reg);
	code_u32(c, by);
}

/* rax = this run's value number r11, if it owns a CPU. */
static void cpu_value(struct lookup *l)
{
	const struct code_env *env = l->g->env;
	struct mem values = { .base = MEM_RW,
			      .to = env->region_rw + l->map->values };
	struct mem run = gen_run_at(l->g), area = run;

	area.disp += offsetof(struct run, area);
	x86_alu_mem_imm(l->c, 8, ALU_CMP, &run, 0);
	slow_if(l, COND_E);
	times(l->c, R11, l->map->value_stride);
	x86_lea(l->c, RAX, &values);
	x86_rm(l->c, 8, 0x03, RAX, &area, 0); /* add */
	x86_alu(l->c, 8, ALU_ADD, RAX, R11);
}

/* rdi = the bucket, rax = its word, rdx = the element less elem.disp; and of a
 * map with values for each CPU, r11 = its number */
static void first_elem(struct lookup *l, const struct region_map *m,
		       const struct mem *buckets)
{
	struct mem bucket = { .base = RDI },
		   less_one = { .base = RAX, .disp = -1 };

	x86_alu_imm(l->c, 4, ALU_AND, RAX, (int32_t)(m->buckets - 1));
	x86_lea(l->c, RDX, buckets);
	x86_lea_index(l->c, RDI, RDX, RAX, 3);
	x86_load(l->c, 8, false, RAX, &bucket);
	x86_rm(l->c, 4, 0x8d, RCX, &less_one, 0); /* lea */
	x86_alu_imm(l->c, 4, ALU_CMP, RCX,
		    (int32_t)(m->max_entries + HASH_SPARE));
	slow_if(l, COND_AE);
	if (map_is_percpu(m->type))
		x86_mov(l->c, 4, R11, RCX);
	times(l->c, RCX, m->stride);
	x86_alu(l->c, 8, ALU_ADD, RDX, RCX);
}

static void key_compare(struct lookup *l)
{
	unsigned size = l->key_size == 4 ? 4 : 8;

	for (uint32_t off = 0; off < l->key_size; off += size) {
		struct mem want = key_at(l, off);
		struct mem have =
			elem_at(l, l->map->key_at + off);

		x86_load(l->c, size, false, RAX, &want);
		x86_alu_mem(l->c, size, 0x39, &have, RAX);
		slow_if(l, COND_NE);
	}
}

/* rax = the value's address, if the element is the one. */
static void elem_check(struct lookup *l)
{
	struct mem state = elem_at(l, offsetof(struct hash_elem, state));
	struct mem mark = elem_at(l, offsetof(struct hash_elem, next) + 4);
	struct mem bucket = { .base = RDI };
	struct mem value = elem_at(l, hash_value_at(l->map));

	x86_load(l->c, 8, false, RCX, &state);
	x86_rm(l->c, 1, 0xf6, 0, &mark, 1); /* testb */
	code_u8(l->c, LINK_MARK >> 32);
	slow_if(l, COND_NE);
	x86_alu_mem(l->c, 8, 0x39, &bucket, RAX);
	slow_if(l, COND_NE);
	key_compare(l);
	x86_alu_mem(l->c, 8, 0x39, &state, RCX);
	slow_if(l, COND_NE);
	if (map_is_percpu(l->map->type))
		cpu_value(l);
	else
		x86_lea(l->c, RAX, &value);
}

/* The helper; then the NULL test behind the lookup, if there is one. */
static int slow_path(struct lookup *l, uint32_t at, uint8_t test)
{
	const struct insn_fact *k = gen_fact(l->g, at);
	struct val map = { .kind = V_MAP, .map = k->map };

	for (int i = 0; i < l->nslow; i++)
		x86_land(l->c, l->slow[i]);
	if (gen_value(l->g, at, RDI, &map))
		return -1;
	if (k->key.kind == V_FP)
		x86_lea(l->c, RSI, &l->key);
	if (gen_helper(l->g, at))
		return -1;
	if (!test)
		return 0;
	x86_rr(l->c, 8, 0x85, RAX, RAX);
	gen_goto(l->g, at, test == BPF_JEQ ? COND_E : COND_NE,
		 insn_target(l->g->f->p->insn, at + 1));
	return 0;
}

static int lookup_begin(struct lookup *l, struct gen *g, uint32_t at)
{
	const struct insn_fact *k = gen_fact(g, at);

	if (!g->env->region || k->map >= g->env->region->nmap)
		return gen_fail(g, at, "there is no map %u", k->map);
	*l = (struct lookup){
		.g = g,
		.c = g->c,
		.key = gen_memory(g, &k->key, 2, 0),
		.map = &g->env->region->map[k->map],
		.key_size = g->env->region->map[k->map].key_size,
	};
	return 0;
}

/* The fast path has come to its end. */
static int lookup_end(struct lookup *l, uint32_t at, uint32_t *done)
{
	struct gen *g = l->g;
	uint8_t test = gen_null_test(g, at + 1);
	size_t over = 0;

	*done = test ? 2 : 1;
	if (test == BPF_JNE)
		gen_goto(g, at, ALWAYS, insn_target(g->f->p->insn, at + 1));
	else
		over = x86_skip(g->c, ALWAYS);
	if (slow_path(l, at, test))
		return -1;
	if (test != BPF_JNE)
		x86_land(g->c, over);
	return 0;
}

int gen_lookup_hash(struct gen *g, uint32_t at, uint32_t *done)
{
	uint32_t map = gen_fact(g, at)->map;
	struct mem buckets;
	struct lookup l;

	if (lookup_begin(&l, g, at))
		return -1;
	buckets = gen_address(g, &(struct val){ .kind = V_VALUE, .map = map },
			      sizeof(struct hash_head));
	l.elem = (struct mem){ .base = RDX,
			       .disp = (int32_t)(hash_pool(l.map->buckets) -
						 sizeof(struct hash_head)) };
	key_hash(&l);
	first_elem(&l, l.map, &buckets);
	elem_check(&l);
	return lookup_end(&l, at, done);
}

int gen_lookup_cpu(struct gen *g, uint32_t at, uint32_t *done)
{
	struct lookup l;

	if (lookup_begin(&l, g, at))
		return -1;
	x86_load(l.c, 4, false, R11, &l.key);
	x86_alu_imm(l.c, 4, ALU_CMP, R11, (int32_t)l.map->max_entries);
	slow_if(&l, COND_AE);
	cpu_value(&l);
	return lookup_end(&l, at, done);
}
