/* SPDX-License-Identifier: MIT */
/* fault.c - how to touch memory that may not be there, and who decides it.
 *
 *   ask     "can this page be read?" before each page: rt_sigprocmask with a
 *           `how` that does not exist reads 8 bytes and fails for that or for
 *           -EFAULT.  85 ns.  Another thread can unmap the page between answer
 *           and read.  (To write: a futex operation that ORs nothing.)
 *   copy    the kernel copies: process_vm_readv on ourselves, 800 ns.  There is
 *           nothing in between; but it is a rare call, and a filter that kills
 *           may not know it.
 *   catch   a handler for SIGSEGV and SIGBUS.  Nothing to do until there is a
 *           fault, then 2 us.  Once a run it is made sure, in 0.5 us, that
 *           both handlers are ours and neither signal is blocked (a fault
 *           would kill); if not, this run asks or copies.
 *   trust   the same, and in the main thread nothing is made sure of: nobody in
 *           this process can have changed it.  That was proved of files, so
 *           arming finds out whether they are what is mapped (libs.c); where
 *           they are not, nothing is caught, unless we were told to.
 *
 * The welder says which it may be (weld_info.fault; rewriter/fault.c has the
 * reasons), arming what it is: the handlers are installed only where both
 * signals have their default action, so that there is nobody to pass a fault on
 * to.  A fault that is not ours is to end in that default action, with the core
 * and the status that it would have had.
 *
 * Not done: remembering pages that could be read for the rest of a run.  A run
 * of a few thousand instructions is a window in which other threads unmap,
 * where asking has one of two instructions.
 */
#include <linux/auxvec.h>
#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/prctl.h>

#include "runtime-stub/fault.h"
#include "runtime-stub/sys.h"

/* <signal.h> is libc's, and <linux/signal.h> cannot stand beside it in hosted
 * tests, nor can <linux/resource.h>; this is what the kernel reads and writes
 * (arch/x86/include/uapi/asm: signal.h, siginfo.h, ucontext.h,
 * sigcontext.h). */
enum {
	BUS = 7, SEGV = 11, SIGINFO = 4, RESTORER = 0x4000000,
	BUS_ASYNC = 5, /* BUS_MCEERR_AO: no instruction's fault */
	KERNEL = 0x80, /* SI_KERNEL: sent, or an address is not canonical */
	ON_ALTSTACK = 1, SIGSET = 8, NO_SUCH_HOW = -1, LIMIT_STACK = 3,
};
struct action {
	const void *handler;
	uint64_t flags;
	const void *restorer;
	uint64_t mask;
};
struct info {
	int32_t signal, err, code;
};
struct altstack {
	uint64_t lo;
	uint32_t flags, unused;
	uint64_t size;
};
struct context {
	uint64_t flags, link;
	struct altstack stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax,
		cx, sp, ip, more[15];
	uint64_t mask;
};

#pragma GCC visibility push(hidden)
extern const uint8_t fault_copy_caught[], fault_read_caught[], fault_restorer[];
uint64_t fault_stack_top;
#pragma GCC visibility pop

static uint32_t ways;        /* of enum fault_way, once we are armed */
static uint64_t stack_safe;  /* a frame fits below what is above that one */
static uint64_t frame_size = 8192; /* of a signal, and its handler */

static uint64_t bit(int signal)
{
	return UINT64_C(1) << (signal - 1);
}

static uint32_t may(uint32_t way)
{
	return __atomic_load_n(&ways, __ATOMIC_RELAXED) & way;
}

/* --- known -------------------------------------------------------------- */

/* From our own frame on. */
static bool in_stack(uint64_t addr, uint64_t n)
{
	uint64_t frame = (uint64_t)__builtin_frame_address(0), top;

	top = (frame | (FAULT_PAGE - 1)) + 1;
	if (fault_stack_top - frame < FAULT_STACK)
		top = fault_stack_top;
	return in_range(addr, n, frame, top - frame);
}

static bool is_there(uint64_t addr, uint64_t n)
{
	for (int i = 0; i < KNOWN_RANGES; i++)
		if (in_known(addr, n, i))
			return true;
	return in_stack(addr, n);
}

/* --- ask ---------------------------------------------------------------- */

static bool ask_read(uint64_t addr)
{
	return sys4(__NR_rt_sigprocmask, NO_SUCH_HOW, (long)(addr & ~7ul), 0,
		    SIGSET) == -EINVAL;
}

/* Wakes nobody: nobody sleeps on our own word, and at most one, to no harm, on
 * the other. */
static bool ask_write(uint64_t addr)
{
	static uint32_t own;

	return sys6(__NR_futex, (long)&own,
		    FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 0,
		    (long)(addr & ~3ul),
		    FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_EQ, -1)) >= 0;
}

/* How many of n bytes can be touched. */
static uint64_t asked(uint64_t addr, uint64_t n, bool ask(uint64_t))
{
	uint64_t at = 0;

	while (at < n && ask(addr + at))
		at = ((addr + at) | (FAULT_PAGE - 1)) + 1 - addr;
	return at < n ? at : n;
}

bool can_read(uint64_t addr, uint64_t n)
{
	return is_users(addr, n) && asked(addr, n, ask_read) == n;
}

/* --- copy --------------------------------------------------------------- */

/* 1: done, 0: cannot be read or written, -1: no such call. */
static int kernel_copies(long call, void *own, uint64_t other, uint64_t n)
{
	const uint64_t here[2] = { (uint64_t)own, n }, there[2] = { other, n };
	long ret = sys6(call, own_pid(), (long)here, 1, (long)there, 1, 0);

	if (ret < 0 && ret != -EFAULT)
		return -1;
	return ret == (long)n;
}

/* --- catch -------------------------------------------------------------- */

static const void *handler_of(int signal)
{
	struct action a;

	return sys4(__NR_rt_sigaction, signal, 0, (long)&a, SIGSET) == 0
		       ? a.handler
		       : (const void *)-1;
}

/* The default action, as if we had not been there: what faulted faults again,
 * and as its signal is blocked, the kernel takes the default action.  No call
 * is needed for that, which a sandbox might refuse. */
static void fault_again(int signal, struct context *c)
{
	c->mask |= bit(signal);
}

/* Somebody has sent it, or may have: it is sent again, and waits until we have
 * returned. */
static void send_again(int signal, const struct info *info, struct context *c)
{
	const struct action dfl = { 0 };

	sys4(__NR_rt_sigaction, signal, (long)&dfl, 0, SIGSET);
	if (sys4(__NR_rt_tgsigqueueinfo, sys0(__NR_getpid), sys0(__NR_gettid),
		 signal, (long)info) == 0)
		return;
	c->ip = 0; /* a sandbox does not let us: end at once */
	fault_again(signal, c);
}

/* Where to go on when it was one of ours; else 0. */
static uint64_t caught_at(uint64_t ip)
{
	uint64_t copy = (uint64_t)fault_copy, read = (uint64_t)fault_read;

	if (ip - copy < (uint64_t)fault_copy_caught - copy)
		return (uint64_t)fault_copy_caught;
	if (ip - read < (uint64_t)fault_read_caught - read)
		return (uint64_t)fault_read_caught;
	return 0;
}

static void on_fault(int signal, const struct info *info, struct context *c)
{
	bool async = info->code <= 0 ||
		     (signal == BUS && info->code == BUS_ASYNC);

	if (!async && caught_at(c->ip))
		c->ip = caught_at(c->ip);
	else if (async || info->code == KERNEL)
		send_again(signal, info, c);
	else
		fault_again(signal, c);
}

/* All signals are blocked in it: who would longjmp out of a handler on top of
 * ours would leave ours blocked.  Not on an alternate stack: then that has to
 * be large enough as well, and where ours is not, neither the handler nor the
 * target would have gone on. */
static bool install(int signal)
{
	const struct action ours = {
		.handler = on_fault,
		.flags = SIGINFO | RESTORER,
		.restorer = fault_restorer,
		.mask = ~UINT64_C(0),
	};

	return sys4(__NR_rt_sigaction, signal, (long)&ours, 0, SIGSET) == 0;
}

/* A second thread may be arming, too. */
static bool is_free(int signal)
{
	const void *handler = handler_of(signal);

	return !handler || handler == on_fault;
}

static bool both_installed(void)
{
	uint64_t mask;

	return sys4(__NR_rt_sigprocmask, 0, 0, (long)&mask, SIGSET) == 0 &&
	       !(mask & (bit(SEGV) | bit(BUS))) && is_free(SEGV) &&
	       is_free(BUS) && install(SEGV) && install(BUS);
}

/* Who has taken a handler from us keeps it. */
static bool still_ours(void)
{
	uint64_t mask = ~UINT64_C(0);

	if (handler_of(SEGV) != on_fault || handler_of(BUS) != on_fault) {
		__atomic_fetch_and(&ways, ~(FAULT_CATCH | FAULT_TRUST),
				   __ATOMIC_RELAXED);
		return false;
	}
	sys4(__NR_rt_sigprocmask, 0, 0, (long)&mask, SIGSET);
	return !(mask & (bit(SEGV) | bit(BUS)));
}

/* Can the kernel put a signal's frame below us? */
static bool has_room(uint64_t frame)
{
	return frame - stack_safe < fault_stack_top - stack_safe ||
	       ask_read(frame - frame_size);
}

/* On an alternate stack there may be something else below. */
static bool stack_fits(uint64_t frame)
{
	struct altstack s = { 0 };

	if (sys3(__NR_sigaltstack, 0, (long)&s, 0) < 0)
		return false;
	return !(s.flags & ON_ALTSTACK) || frame - s.lo > frame_size;
}

static bool is_caught(struct run *run)
{
	uint64_t frame = (uint64_t)__builtin_frame_address(0);

	if (run->fault == RUN_UNKNOWN) {
		run->fault = RUN_ASKED;
		if (may(FAULT_CATCH) && has_room(frame) &&
		    (may(FAULT_TRUST) || (stack_fits(frame) && still_ours())))
			run->fault = RUN_CAUGHT;
	}
	return run->fault == RUN_CAUGHT;
}

/* --- the long way ------------------------------------------------------- */

long fault_failed(void *to, uint32_t n)
{
	mem_zero(to, n);
	return -EFAULT;
}

bool fault_in(void *to, uint64_t from, uint64_t n, struct run *run)
{
	int done = -1;

	if (!is_users(from, n))
		return false;
	if (is_there(from, n) || is_caught(run))
		return !fault_copy(to, (const void *)from, n);
	if (may(FAULT_COPY))
		done = kernel_copies(__NR_process_vm_readv, to, from, n);
	if (done >= 0)
		return done;
	return asked(from, n, ask_read) == n &&
	       !fault_copy(to, (const void *)from, n);
}

/* As far as can be written. */
static bool write_caught(uint64_t to, const uint8_t *from, uint64_t n)
{
	if (!fault_copy((void *)to, from, n))
		return true;
	for (uint64_t i = 0; i < n; i++)
		if (fault_copy((void *)(to + i), from + i, 1))
			return false;
	return true;
}

bool fault_out(uint64_t to, const void *from, uint64_t n, struct run *run)
{
	int done = -1;
	uint64_t can;

	if (!is_users(to, n))
		return false;
	if (in_stack(to, n) || is_caught(run))
		return write_caught(to, from, n);
	if (may(FAULT_COPY))
		done = kernel_copies(__NR_process_vm_writev, (void *)from, to,
				     n);
	if (done >= 0)
		return done;
	can = asked(to, n, ask_write);
	return !fault_copy((void *)to, from, can) && can == n;
}

/* --- arming ------------------------------------------------------------- */

/* Half of what the stack may have: the rest is for what stands above `top`. */
static uint64_t safe_below(uint64_t top)
{
	uint64_t size = FAULT_STACK, max[2];

	if (sys4(__NR_prlimit64, 0, LIMIT_STACK, 0, (long)max) < 0)
		return top;
	if (max[0] < size)
		size = max[0];
	return top - size / 2;
}

/* Without `envp` we have come before the program's own code, or late. */
static bool is_proved(const char *const *envp)
{
	return envp && !env_converts(envp) && weld_libs_seen();
}

void fault_arm(const char *const *envp, struct aux aux)
{
	uint32_t now = weld_info.fault;

	if (now & FAULT_TRUST && !is_proved(envp))
		now &= now & FAULT_TOLD ? ~FAULT_TRUST
					: ~(FAULT_TRUST | FAULT_CATCH);
	if (now & FAULT_COPY &&
	    sys6(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) != 0)
		now &= ~FAULT_COPY;
	if (now & FAULT_CATCH && !both_installed())
		now &= ~(FAULT_CATCH | FAULT_TRUST);
	if (now & FAULT_CATCH && envp)
		stack_safe = safe_below((uint64_t)envp);
	if (aux.frame)
		frame_size = aux.frame + 2048;
	__atomic_store_n(&ways, now, __ATOMIC_RELEASE);
}
