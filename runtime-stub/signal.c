/* SPDX-License-Identifier: MIT */
/* signal.c - bpf_send_signal and bpf_send_signal_thread, to who runs the
 * program.
 *
 * The kernel delivers when the probed instruction is behind it.  Here it is
 * done when the program has ended: what it does after asking still counts, even
 * where the signal ends the process.  So the run keeps up to eight signals, the
 * first one in the lowest byte, and its last act is to send them.  Any more are
 * sent at once.  A signal that is pending is not sent again, but for real-time
 * signals, which are queued.
 *
 * Handlers see what the kernel's helper sends (SEND_SIG_PRIV): SI_KERNEL, from
 * nobody.  A thread may say so of a signal to itself.  rt_sigqueueinfo(), given
 * a thread's number, sends to its process and prefers that thread
 * (kill_pid_info() and complete_signal() in kernel/signal.c), which is what
 * bpf_send_signal does.
 */
#include <asm/siginfo.h>
#include <linux/errno.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { SIGNALS = 64, REAL_TIME = 32, THREAD = 0x80 };

static void send(uint64_t sig, bool thread)
{
	siginfo_t info = { 0 };
	long tid = sys0(__NR_gettid);

	info.si_signo = (int)sig;
	info.si_code = SI_KERNEL;
	if (thread)
		sys4(__NR_rt_tgsigqueueinfo, sys0(__NR_getpid), tid,
		     (long)sig, (long)&info);
	else
		sys3(__NR_rt_sigqueueinfo, tid, (long)sig, (long)&info);
}

uint64_t weld_run_signals(struct run *run, uint64_t r0)
{
	for (uint64_t all = run->signals; all; all >>= 8)
		send(all & (THREAD - 1), all & THREAD);
	return r0;
}

/* Room for one more: its shift, or 64. */
static uint32_t find_room(uint64_t all, uint64_t signal)
{
	uint32_t at = 0;

	for (; at < 64 && all >> at & 0xff; at += 8)
		if ((all >> at & 0xff) == signal &&
		    (signal & (THREAD - 1)) < REAL_TIME)
			return at;
	return at;
}

static long keep(uint32_t sig, uint64_t thread, struct run *run)
{
	uint32_t at = find_room(run->signals, sig | thread);

	if (sig > SIGNALS)
		return -EINVAL;
	if (sig && at < 64)
		run->signals |= (sig | thread) << at;
	else if (sig)
		send(sig, thread);
	return 0;
}

DEFINE_HELPER(send_signal)
{
	return (uint64_t)keep((uint32_t)r1, 0, run);
}

DEFINE_HELPER(send_signal_thread)
{
	return (uint64_t)keep((uint32_t)r1, THREAD, run);
}
