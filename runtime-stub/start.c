/* SPDX-License-Identifier: MIT */
/* start.c - arming: from a zeroed bss to a region with gates that are 1.
 *
 *   weld_entry, weld_init, or the first hit (entry.S)
 *     -> BPFWELD_REGION=off:      never; gates stay 0
 *     -> the shared file maps:    armed
 *     -> it does not, or private: fill our own zero pages, gates last
 *
 * Several threads may do this at once, or a signal handler in the middle of
 * it.  Mapping the same file twice changes nothing.  Filling is for one, as a
 * second could undo what a program has meanwhile written to .data.  And it is
 * one or the other: to fill what another thread has just mapped would undo it
 * for all processes.  So the first to be sure of its way claims it, and others
 * wait a while, but not for ever: they may have interrupted the one, or be in a
 * child of fork() that has no such thread.  Then they fill what is private
 * again, and never what may be the file by now: these hits are lost until it is
 * mapped.
 *
 * fork: a shared region stays shared, a private one is copied with everything
 * else.
 */
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/prctl.h>

#include "runtime-stub/fault.h"
#include "runtime-stub/sys.h"

enum settled { NOT_YET, ARMED, OFF };
/* Turns of the processor: about a millisecond, and ten. */
enum { PATIENCE = 2000, FILE_PATIENCE = 20000 };

#pragma GCC visibility push(hidden)
uint32_t weld_settled; /* entry.S tests it */
void start_entry(const uint64_t *sp);
void start_init(int argc, const char *const *argv, const char *const *envp);
void start_hit(void);
/* What is done when arming is start_nothing() where no program needs it: the welder
 * knows, and links no more. */
void weld_fault_arm(const char *const *envp, struct aux aux);
void weld_clock_use(uint64_t vdso);
#pragma GCC visibility pop

enum { FILLING = -1 };
static int32_t claimed; /* how many threads map the file, or FILLING */
static uint32_t arming; /* how many threads do so at their first hit */

static uint32_t settled(void)
{
	return __atomic_load_n(&weld_settled, __ATOMIC_ACQUIRE);
}

static void settle(uint32_t how)
{
	uint32_t was = NOT_YET;

	__atomic_compare_exchange_n(&weld_settled, &was, how, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void start_nothing(void)
{
}

bool region_is_armed(void)
{
	return settled() == ARMED;
}

bool region_is_off(void)
{
	return settled() == OFF;
}

void region_fill(uint8_t *base)
{
	const struct weld_info *w = &weld_info;
	const uint8_t *info = (const uint8_t *)w;
	const struct init_record *r = (const void *)(info + w->init);
	struct region_header *h = (struct region_header *)base;
	struct region_trace *t = (struct region_trace *)(base + w->trace);

	h->version = REGION_VERSION;
	h->header_size = sizeof(*h);
	mem_copy(h->weld_id, w->weld_id, sizeof(h->weld_id));
	h->size = w->region_size;
	h->probe_count = w->probe_count;
	h->map_count = w->map_count;
	h->gates = w->gates;
	h->maps = w->maps;
	h->counts = w->counts;
	h->trace = w->trace;
	h->trace_size = w->trace_size;
	h->loads = w->loads;
	h->cpus = w->cpus;
	h->cpu_count = w->cpu_count;
	h->cpu_stride = w->cpu_stride;
	h->magic = REGION_MAGIC;
	t->slots = (w->trace_size - sizeof(*t)) / sizeof(t->record[0]);
	mem_copy(base + w->maps, info + w->map,
		 (uint64_t)w->map_count * sizeof(struct region_map));
	for (uint32_t i = 0; i < w->init_count; i++)
		mem_copy(base + r[i].to, info + r[i].from, r[i].len);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (uint32_t i = 0; i < w->probe_count; i++)
		*(volatile uint8_t *)(base + w->gates + i) = 1;
}

bool region_claim_file(void)
{
	int32_t n = __atomic_load_n(&claimed, __ATOMIC_RELAXED);

	while (n != FILLING)
		if (__atomic_compare_exchange_n(&claimed, &n, n + 1, false,
						__ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

void region_unclaim_file(void)
{
	__atomic_sub_fetch(&claimed, 1, __ATOMIC_RELEASE);
}

/* Is it for us alone to fill it? */
static bool claim_filling(void)
{
	int32_t nobody = 0;

	return __atomic_compare_exchange_n(&claimed, &nobody, FILLING, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool region_is_private(void)
{
	return __atomic_load_n(&claimed, __ATOMIC_RELAXED) == FILLING;
}

/* For a file longer, as hits are lost without it, but only once in vain: the target
 * is not to be slow. */
static void wait_for_others(void)
{
	static uint32_t in_vain;
	int turns = region_is_private() ? PATIENCE : FILE_PATIENCE;

	for (int i = 0; i < turns && !settled(); i++) {
		if (__atomic_load_n(&in_vain, __ATOMIC_RELAXED) &&
		    !region_is_private())
			return;
		sys0(__NR_sched_yield);
	}
	if (!settled())
		__atomic_store_n(&in_vain, 1, __ATOMIC_RELAXED);
}

bool region_wait_scarce(long ret, int *tries)
{
	if ((ret != -EMFILE && ret != -ENFILE) || region_is_private() ||
	    __atomic_load_n(&arming, __ATOMIC_RELAXED) < 2 ||
	    ++*tries > FILE_PATIENCE)
		return false;
	sys0(__NR_sched_yield);
	return true;
}

static void fill_private(void)
{
	if (!claim_filling())
		wait_for_others();
	if (!settled() && (claim_filling() || region_is_private())) {
		region_fill(weld_region);
		settle(ARMED);
	}
}

/* What is to be done then is linked only where it is wanted. */
static void armed(void)
{
	const uint8_t *info = (const uint8_t *)&weld_info;

	if (weld_info.armed)
		((void (*)(void))(info + weld_info.armed))();
}

/* Would the region belong to who has started us, though the kernel does not let
 * him look into us?  So it is with file capabilities, with programs that are
 * setgid, and behind the setuid() of one that is setuid. */
static bool is_for_callers_eyes(void)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct cap[_LINUX_CAPABILITY_U32S_3];
	long uid = sys0(__NR_geteuid);

	if (!uid || uid != sys0(__NR_getuid))
		return false;
	return sys6(__NR_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0, 0) != 1 ||
	       sys3(__NR_capget, (long)&h, (long)cap, 0) != 0 ||
	       (cap[0].permitted | cap[1].permitted);
}

/* `begins`: the program does; `envp`: as the kernel made it, or NULL.  A private
 * region shall need no system call: `private` is for sandboxes that kill. */
static void arm(struct aux aux, const char *want, bool begins,
		const char *const *envp)
{
	weld_clock_use(aux.vdso);
	if (aux.secure || (want && !*want))
		want = NULL;
	if (want && str_equal(want, "off"))
		settle(OFF);
	else if (want && str_equal(want, "private"))
		fill_private();
	else {
		weld_fault_arm(envp, aux);
		if (!(aux.secure && is_for_callers_eyes()) && file_map(want)) {
			/* Before a filter forbids to ask. */
			begins ? own_begin() : (void)own_self();
			settle(ARMED);
			armed();
		} else
			fill_private();
	}
}

/* The arguments' and the environment's strings are behind the vectors. */
static uint64_t stack_top(const void *vectors, uint64_t last)
{
	uint64_t end = (uint64_t)vectors;

	return last - end < FAULT_STACK ? last : end;
}

/* The stack as the kernel made it: argc, argv, NULL, envp, NULL, auxv. */
static void start_stack(const char *const *envp, bool program)
{
	const char *const *v = envp;
	struct aux aux;

	while (*v)
		v++;
	aux = aux_read((const uint64_t *)(v + 1), (const uint64_t *)(v + 129));
	if (program)
		fault_stack_top = stack_top(v, aux.last);
	if (aux.secure) /* or unsetenv() has moved the end of envp */
		aux = aux_find();
	arm(aux, env_want(envp), true, program ? envp : NULL);
	if (region_is_armed() && !region_is_private())
		own_take(envp);
}

void start_entry(const uint64_t *sp)
{
	start_stack((const char *const *)(sp + 1 + sp[0] + 1), true);
}

/* glibc calls DT_INIT with main's arguments, musl with whatever the registers
 * hold: believe them only if they look like the kernel's stack. */
void start_init(int argc, const char *const *argv, const char *const *envp)
{
	if (settled())
		return;
	if (argc > 0 && envp == argv + argc + 1 &&
	    can_read((uint64_t)(envp - 1), 16) && !envp[-1])
		start_stack(envp, false);
	else
		start_hit();
}

void start_hit(void)
{
	if (settled())
		return;
	__atomic_add_fetch(&arming, 1, __ATOMIC_RELAXED);
	if (region_is_private())
		fill_private();
	else
		arm(aux_find(), env_find(), false, NULL);
	__atomic_sub_fetch(&arming, 1, __ATOMIC_RELAXED);
}
