/* SPDX-License-Identifier: MIT */
/* clock.c - bpf_ktime_get_ns and its family, and bpf_jiffies64.
 *
 * The clock is the vDSO's clock_gettime (22 ns; the system call is 140): its
 * address comes from the auxiliary vector, its function from its own symbol
 * table (vdso(7)).  Both are looked up once and kept.
 *
 * A tick of the kernel (1 / CONFIG_HZ) is the resolution of its coarse clock.
 * Jiffies are ticks of the monotonic clock (tick_do_update_jiffies64() in
 * kernel/time/tick-sched.c) from five minutes before 2^32 (INITIAL_JIFFIES);
 * what is not known is by how many ticks the clock began earlier than they did.
 */
#include <elf.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { UNKNOWN = 0, NO_VDSO = 1 };
enum { MONOTONIC_COARSE = 6, TICK_LEAST = 100000, TICK_USUAL = 4000000 };
static uint64_t clock_function; /* its address, or one of these */

struct vdso {
	uint64_t bias;
	const Elf64_Sym *sym;
	const char *str;
	uint64_t nsym;
};

static bool vdso_dynamic(struct vdso *v, const Elf64_Dyn *d)
{
	const uint32_t *hash = NULL;

	for (; d->d_tag != DT_NULL; d++) {
		const void *at = (const void *)(v->bias + d->d_un.d_ptr);

		if (d->d_tag == DT_SYMTAB)
			v->sym = at;
		else if (d->d_tag == DT_STRTAB)
			v->str = at;
		else if (d->d_tag == DT_HASH)
			hash = at;
	}
	if (!v->sym || !v->str)
		return false;
	/* Without DT_HASH nothing counts the symbols; ld puts the strings
	 * right behind them. */
	v->nsym = hash ? hash[1]
		       : (uint64_t)(v->str - (const char *)v->sym) /
				 sizeof(*v->sym);
	return v->nsym < 4096;
}

static bool vdso_open(struct vdso *v, uint64_t base)
{
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Phdr *ph = (const void *)(base + eh->e_phoff);
	const Elf64_Phdr *load = NULL, *dynamic = NULL;

	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && !load)
			load = &ph[i];
		if (ph[i].p_type == PT_DYNAMIC)
			dynamic = &ph[i];
	}
	if (!load || !dynamic)
		return false;
	v->bias = base + load->p_offset - load->p_vaddr;
	return vdso_dynamic(v, (const void *)(base + dynamic->p_offset));
}

static uint64_t vdso_find(uint64_t base)
{
	struct vdso v = { 0 };

	if (!base || !vdso_open(&v, base))
		return NO_VDSO;
	for (uint64_t i = 0; i < v.nsym; i++)
		if (v.sym[i].st_shndx != SHN_UNDEF &&
		    str_equal(v.str + v.sym[i].st_name, "__vdso_clock_gettime"))
			return v.bias + v.sym[i].st_value;
	return NO_VDSO;
}

void clock_use(uint64_t vdso)
{
	__atomic_store_n(&clock_function, vdso_find(vdso), __ATOMIC_RELAXED);
}

uint64_t clock_ns(int clock)
{
	struct { int64_t sec, nsec; } ts = { 0, 0 };
	uint64_t at = __atomic_load_n(&clock_function, __ATOMIC_RELAXED);

	if (at == UNKNOWN) {
		clock_use(aux_find().vdso);
		at = __atomic_load_n(&clock_function, __ATOMIC_RELAXED);
	}
	if (at == NO_VDSO || vdso_call(at, clock, &ts) < 0)
		sys3(__NR_clock_gettime, clock, (long)&ts, 0);
	return (uint64_t)ts.sec * 1000000000 + (uint64_t)ts.nsec;
}

DEFINE_HELPER(ktime_get_ns)
{
	return clock_ns(MONOTONIC);
}

DEFINE_HELPER(ktime_get_boot_ns)
{
	return clock_ns(BOOTTIME);
}

DEFINE_HELPER(ktime_get_tai_ns)
{
	return clock_ns(TAI);
}

static uint64_t tick_ns(void)
{
	static uint64_t known;
	uint64_t tick = __atomic_load_n(&known, __ATOMIC_RELAXED);
	struct { int64_t sec, nsec; } res = { 0, 0 };

	if (tick)
		return tick;
	sys3(__NR_clock_getres, MONOTONIC_COARSE, (long)&res, 0);
	tick = res.nsec >= TICK_LEAST ? (uint64_t)res.nsec : TICK_USUAL;
	__atomic_store_n(&known, tick, __ATOMIC_RELAXED);
	return tick;
}

DEFINE_HELPER(jiffies64)
{
	uint64_t tick = tick_ns();
	uint64_t before = 300 * ((1000000000 + tick / 2) / tick);

	return (uint32_t)-before + clock_ns(MONOTONIC) / tick;
}
