/* SPDX-License-Identifier: MIT */
/* trap.c - sites that have room for one byte: an int3, and this handler.
 *
 *   site:  int3  -->  SIGTRAP  -->  weld_trap  -->  trap_hit: is it a site?
 *                                                     |           |
 *          the trampoline, by sigreturn  <--  rip = it's  yes      no: as it
 *                                                        would have gone before
 *
 * The handler is there before anything of the target runs (weld_trap_entry),
 * whatever becomes of the region: a trampoline goes on where the site did, its
 * gate being 0.  SIGTRAP is unblocked then, as a hit while it is blocked kills
 * (force_sig_info_to_task() in kernel/signal.c).
 *
 * A SIGTRAP that is no hit of a site goes where it went before we came:
 *
 *   a handler     is jumped to, on the frame that the kernel made for us, with
 *                 its mask: it returns by our sigreturn
 *   SIG_IGN       nothing, but for what the processor or the kernel raises, and
 *                 that kills
 *   SIG_DFL       the same signal once more, with the default action, when the
 *                 frame is gone: status and core are those of the target
 *
 * SA_NODEFER, and no mask: a site may be hit in a signal's handler that has
 * interrupted this one, and nothing that the target sees of its mask is other.
 * SA_ONSTACK: the stack of a coroutine may have no room for a signal's frame.
 */
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/ucontext.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

#define TRAP_MASK (UINT64_C(1) << (SIGTRAP - 1))

#pragma GCC visibility push(hidden)
void weld_trap(int sig); /* entry.S: calls trap_hit, jumps to what it gives */
void weld_restore(void); /* entry.S: rt_sigreturn */
void traps_arm(void);
__sighandler_t trap_hit(int sig, struct siginfo *info, struct ucontext *uc);
#pragma GCC visibility pop

static struct sigaction before; /* the target's, as we found it */

static long action(const struct sigaction *set, struct sigaction *was)
{
	return sys4(__NR_rt_sigaction, SIGTRAP, (long)set, (long)was,
		    sizeof(sigset_t));
}

static void mask(int how, sigset_t set)
{
	sys4(__NR_rt_sigprocmask, how, (long)&set, 0, sizeof(set));
}

static bool is_handler(__sighandler_t h)
{
	return h != SIG_DFL && h != SIG_IGN;
}

/* Who waits in a system call shall be interrupted as before. */
void traps_arm(void)
{
	struct sigaction ours = {
		.sa_handler = weld_trap,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER,
		.sa_restorer = weld_restore,
	};

	action(NULL, &before);
	if (!is_handler(before.sa_handler) || before.sa_flags & SA_RESTART)
		ours.sa_flags |= SA_RESTART;
	action(&ours, NULL);
	mask(SIG_UNBLOCK, TRAP_MASK);
}

/* The trampoline of the site at `at`, or 0. */
static uint64_t trap_find(uint64_t at)
{
	uint64_t info = (uint64_t)&weld_info;
	const struct weld_trap *v =
		(const void *)(info + (uint64_t)(int64_t)weld_info.traps);
	uint32_t lo = 0, hi = weld_info.trap_count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		uint64_t site = info + (uint64_t)(int64_t)v[mid].site;

		if (site == at)
			return info + (uint64_t)(int64_t)v[mid].tramp;
		if (site < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* Blocked until the frame is gone, which brings back the mask. */
static void default_action(struct siginfo *info)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	action(&dfl, NULL);
	mask(SIG_BLOCK, TRAP_MASK);
	sys4(__NR_rt_tgsigqueueinfo, sys0(__NR_getpid), sys0(__NR_gettid),
	     SIGTRAP, (long)info);
}

/* What was there before us; NULL: all is done. */
static __sighandler_t pass_on(struct siginfo *info)
{
	__sighandler_t h =
		__atomic_load_n(&before.sa_handler, __ATOMIC_RELAXED);

	if (is_handler(h) && before.sa_flags & SA_RESETHAND)
		h = __atomic_exchange_n(&before.sa_handler, SIG_DFL,
					__ATOMIC_RELAXED);
	if (!is_handler(h)) {
		/* Above 0 are the kernel's own, which are not ignored. */
		if (h == SIG_DFL || info->si_code > 0)
			default_action(info);
		return NULL;
	}
	mask(SIG_BLOCK,
	     before.sa_mask | (before.sa_flags & SA_NODEFER ? 0 : TRAP_MASK));
	return h;
}

/* Has signal() put our handler back?  It knows no SA_SIGINFO, and the kernel fills
 * no siginfo then. */
static bool without_info(void)
{
	struct sigaction now = { 0 };

	return action(NULL, &now) == 0 && now.sa_handler == weld_trap &&
	       !(now.sa_flags & SA_SIGINFO);
}

/* Any other SIGTRAP may come right behind a site, too. */
__sighandler_t trap_hit(int sig UNUSED, struct siginfo *info,
			struct ucontext *uc)
{
	uint64_t tramp = trap_find(uc->uc_mcontext.rip - 1);

	if (tramp && info->si_code != SI_KERNEL && !without_info())
		tramp = 0;
	if (!tramp)
		return pass_on(info);
	uc->uc_mcontext.rip = tramp;
	return NULL;
}
