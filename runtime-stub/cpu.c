/* SPDX-License-Identifier: MIT */
/* cpu.c - values for each CPU, exact without atomics.
 *
 * Nothing keeps a thread on its CPU while a program runs, so a CPU is a set of
 * values that one run owns: the word of it in the region holds who (layout.h).
 * A run takes one when it first asks, its own CPU's if that is free, and gives
 * it back at its end (run_end() in abi.h).  What a run finds half done can then
 * only be its own.  A handler that interrupts a program gets another one than
 * that: their sum is right, which is all that a program can know of it.
 *
 * A process that is killed in a program leaves its words taken.  Who finds none
 * free looks for those of dead processes; pids say so in the same pid namespace
 * only, so that is part of the word.  If all owners live, others run programs on
 * as many CPUs as there are: wait, but not long (they may be stopped, or all of
 * them be runs that we have interrupted).  Then the program gets NULL, each time.
 */
#include <linux/errno.h>

#include "runtime-stub/cpu.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { PATIENCE = 32, CPU_SELECTOR = 0x7b, CPU_BITS = 12 };

/* The kernel keeps cpu | node << 12 in this segment's limit, for vgetcpu. */
static uint32_t cpu_and_node(void)
{
	uint32_t limit = 0;

	__asm__ volatile("lsl %1, %0"
			 : "+r"(limit)
			 : "r"((uint32_t)CPU_SELECTOR)
			 : "cc");
	return limit;
}

uint32_t cpu_here(void)
{
	return cpu_and_node() & ((1u << CPU_BITS) - 1);
}

uint32_t cpu_node(void)
{
	return cpu_and_node() >> CPU_BITS;
}

static uint64_t *word_of(uint32_t cpu)
{
	struct region_cpu *table = (void *)(weld_region + weld_info.cpus);

	return &table[cpu].owner;
}

static bool take(struct run *run, uint32_t cpu, uint64_t was, uint64_t us)
{
	uint64_t *word = word_of(cpu);

	if (!__atomic_compare_exchange_n(word, &was, us, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	run->area = cpu * weld_info.cpu_stride;
	run->cpu = word;
	return true;
}

static bool take_free(struct run *run, uint64_t us)
{
	uint32_t n = weld_info.cpu_count, at = cpu_here() % n;

	for (uint32_t i = 0; i < n; i++, at = at + 1 < n ? at + 1 : 0)
		if (!__atomic_load_n(word_of(at), __ATOMIC_RELAXED) &&
		    take(run, at, 0, us))
			return true;
	return false;
}

static bool take_dead(struct run *run, uint64_t us)
{
	for (uint32_t i = 0; i < weld_info.cpu_count; i++) {
		uint64_t owner = __atomic_load_n(word_of(i), __ATOMIC_RELAXED);

		if (owner && own_is_dead(owner, us) &&
		    take(run, i, owner, us))
			return true;
	}
	return false;
}

static __attribute__((noinline)) bool claim(struct run *run)
{
	struct region_header *h = (struct region_header *)weld_region;
	uint64_t us = own_self();

	for (int i = 0; i < PATIENCE && !run->no_cpu; i++) {
		if (take_free(run, us) || (i == 0 && take_dead(run, us)))
			return true;
		sys0(__NR_sched_yield);
	}
	if (!run->no_cpu)
		__atomic_fetch_add(&h->lost, 1, __ATOMIC_RELAXED);
	run->no_cpu = 1;
	return false;
}

void *cpu_value(const struct region_map *m, uint64_t index, struct run *run)
{
	if (!run->cpu && !claim(run))
		return NULL;
	return weld_region + m->values + run->area + index * m->value_stride;
}

bool cpu_put(const struct region_map *m, uint64_t index, const void *value,
	     struct run *run)
{
	void *to = cpu_value(m, index, run);

	if (to)
		mem_copy(to, value, m->value_size);
	return to != NULL;
}
