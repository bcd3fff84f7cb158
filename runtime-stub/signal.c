/* SPDX-License-Identifier: MIT */
/* signal.c - bpf_send_signal and bpf_send_signal_thread, to who runs the
 * program.
 *
 * Handlers see what the kernel's helper sends (SEND_SIG_PRIV): SI_KERNEL, from
 * nobody.  A thread may say so of a signal to itself.  rt_sigqueueinfo(), given a
 * thread's number, sends to its process and prefers that thread (kill_pid_info()
 * and complete_signal() in kernel/signal.c), which is what bpf_send_signal does.
 *
 * The kernel delivers behind the probed instruction.  Here a handler runs at
 * once, and a signal that ends the process does so before what is left of the
 * program.
 */
#include <asm/siginfo.h>
#include <linux/errno.h>

#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"

enum { SIGNALS = 64 };

static long send(uint32_t sig, bool thread)
{
	siginfo_t info = { 0 };
	long tid = sys0(__NR_gettid);

	if (sig > SIGNALS)
		return -EINVAL;
	info.si_signo = (int)sig;
	info.si_code = SI_KERNEL;
	if (thread)
		return sys4(__NR_rt_tgsigqueueinfo, sys0(__NR_getpid), tid, sig,
			    (long)&info);
	return sys3(__NR_rt_sigqueueinfo, tid, sig, (long)&info);
}

DEFINE_HELPER(send_signal)
{
	return (uint64_t)send((uint32_t)r1, false);
}

DEFINE_HELPER(send_signal_thread)
{
	return (uint64_t)send((uint32_t)r1, true);
}
