/* SPDX-License-Identifier: MIT */
/* stepper.c - run a program by single steps and at each of them ask libdw, as
 * perf and eu-stack do, for the callers.
 *
 *     stepper main LO HI COMMAND...   between the program's first SIGUSR1 and
 *                                     its second; LO..HI is its main(), which
 *                                     must be found, always with the same
 *                                     registers
 *     stepper start LO HI COMMAND...  from the first instruction to LO, the
 *                                     original entry; the stack must have an
 *                                     end that libdw knows for one
 *
 * Other than walk.c, this sees the stub's own instructions, even where the trap
 * flag is cleared, and how code outside the process unwinds.
 */
#define _GNU_SOURCE
#include <elfutils/libdwfl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEPT = 7, STEPS = 200000 };
static const int kept[KEPT] = { 3, 6, 7, 12, 13, 14, 15 }; /* rsp is 7 */

static const char *program; /* its file name */

struct walk {
	Dwarf_Addr lo, hi;
	int frames, found;
	Dwarf_Word reg[KEPT];
};

/* The address that the program's file has for pc; 0: another file's. */
static Dwarf_Addr in_program(Dwfl *d, Dwarf_Addr pc)
{
	Dwfl_Module *m = dwfl_addrmodule(d, pc);
	const char *name = m ? dwfl_module_info(m, NULL, NULL, NULL, NULL, NULL,
						NULL, NULL) : NULL;
	Dwarf_Addr bias;

	if (!name || strcmp(basename(name), program) ||
	    !dwfl_module_getelf(m, &bias))
		return 0;
	return pc - bias;
}

static int visit(Dwfl_Frame *f, void *arg)
{
	struct walk *w = arg;
	bool activation;
	Dwarf_Addr pc;

	w->frames++;
	if (!dwfl_frame_pc(f, &pc, &activation))
		return DWARF_CB_ABORT;
	pc = in_program(dwfl_thread_dwfl(dwfl_frame_thread(f)), pc);
	if (pc < w->lo || pc >= w->hi)
		return DWARF_CB_OK;
	w->found = 1;
	for (int i = 0; i < KEPT; i++)
		if (dwfl_frame_reg(f, (unsigned)kept[i], &w->reg[i]))
			w->reg[i] = 0;
	return DWARF_CB_ABORT;
}

static Dwfl *look_at(pid_t pid)
{
	static const Dwfl_Callbacks find = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	Dwfl *d = dwfl_begin(&find);

	if (!d || dwfl_linux_proc_report(d, pid) ||
	    dwfl_report_end(d, NULL, NULL) ||
	    dwfl_linux_proc_attach(d, pid, true)) {
		fprintf(stderr, "libdw: %s\n", dwfl_errmsg(-1));
		exit(2);
	}
	return d;
}

static Dwarf_Addr pc_of(pid_t pid)
{
	struct user_regs_struct r;

	ptrace(PTRACE_GETREGS, pid, NULL, &r);
	return r.rip;
}

static void complain(pid_t pid, Dwfl *d, const struct walk *w, const char *what)
{
	Dwarf_Addr pc = pc_of(pid);
	Dwfl_Module *m = dwfl_addrmodule(d, pc);
	const char *name = m ? dwfl_module_addrname(m, pc) : NULL;

	fprintf(stderr, "at %#lx in %s: %s (%d frames; %s)\n",
		(unsigned long)in_program(d, pc), name ? name : "?", what,
		w->frames, dwfl_errmsg(-1));
}

/* Returns the signal that ends the stretch, or 0 at its end. */
static int one_step(pid_t pid)
{
	int status;

	ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		return -1;
	return WSTOPSIG(status);
}

static unsigned step_main(pid_t pid, Dwarf_Addr lo, Dwarf_Addr hi)
{
	Dwfl *d = look_at(pid);
	struct walk first = { .lo = lo, .hi = hi };
	unsigned bad = 0, steps = 0;

	dwfl_getthread_frames(d, pid, visit, &first);
	do {
		struct walk w = { .lo = lo, .hi = hi };

		steps++;
		dwfl_getthread_frames(d, pid, visit, &w);
		if (!w.found && bad++ < 5)
			complain(pid, d, &w, "main is not found");
		else if (w.found && w.frames > 1 &&
			 memcmp(w.reg, first.reg, sizeof(w.reg)) && bad++ < 5)
			complain(pid, d, &w, "main's registers differ");
	} while (steps < STEPS && one_step(pid) == SIGTRAP);
	printf("%u steps, %u bad\n", steps, bad);
	dwfl_end(d);
	return bad || steps == STEPS;
}

static unsigned step_start(pid_t pid, Dwarf_Addr entry)
{
	Dwfl *d = look_at(pid);
	unsigned bad = 0, steps = 0;

	do {
		struct walk w = { 0 };

		steps++;
		if (dwfl_getthread_frames(d, pid, visit, &w) && bad++ < 5)
			complain(pid, d, &w, "no end");
	} while (steps < STEPS && one_step(pid) == SIGTRAP &&
		 in_program(d, pc_of(pid)) != entry);
	printf("%u steps, %u bad\n", steps, bad);
	dwfl_end(d);
	return bad || steps == STEPS;
}

/* A pushf that was stepped over has kept the trap flag for a later popf. */
static void no_more_traps(pid_t pid)
{
	enum { TRAP_FLAG = 0x100 };
	struct user_regs_struct r;

	ptrace(PTRACE_GETREGS, pid, NULL, &r);
	r.eflags &= ~(unsigned long long)TRAP_FLAG;
	ptrace(PTRACE_SETREGS, pid, NULL, &r);
}

/* On to the next SIGUSR1, or the end; other signals are the program's own. */
static int run_on(pid_t pid)
{
	int status, signal = 0;

	for (;;) {
		no_more_traps(pid);
		ptrace(PTRACE_CONT, pid, NULL, signal);
		if (waitpid(pid, &status, 0) < 0)
			return -1;
		if (!WIFSTOPPED(status))
			return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
		if (WSTOPSIG(status) == SIGUSR1)
			return -1;
		signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
	}
}

int main(int argc, char **argv)
{
	Dwarf_Addr lo, hi;
	unsigned bad;
	pid_t pid;
	int code;

	if (argc < 5)
		return 2;
	lo = strtoul(argv[2], NULL, 0);
	hi = strtoul(argv[3], NULL, 0);
	program = basename(argv[4]);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[4], argv + 4);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	if (argv[1][0] == 's') {
		bad = step_start(pid, lo);
	} else {
		if (run_on(pid) >= 0)
			return 2;
		bad = step_main(pid, lo, hi);
	}
	while ((code = run_on(pid)) < 0)
		;
	if (code)
		fprintf(stderr, "exit status %d\n", code);
	return bad || code;
}
