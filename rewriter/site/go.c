/* SPDX-License-Identifier: MIT */
/* go.c - what the Go runtime takes for granted about addresses, and so what may
 * be moved out of Go code.
 *
 * The runtime unwinds by tables that are found by the program counter; ours are
 * not in them.  It looks at program counters when
 *
 *   it scans or moves a stack (GC, growth, shrinking, panics, tracebacks)
 *       Only of goroutines that have stopped: at a call, or where a signal has
 *       preempted them.  Their frames' addresses are return addresses, which
 *       stay the original ones whoever makes the call (displace.c).  No
 *       goroutine stops inside a trampoline: nothing there calls Go, and
 *   it preempts by a signal (SIGURG)
 *       isAsyncSafePoint() declines where findfunc() knows no function; the
 *       goroutine is asked again later.  At a patch's own first byte, the state
 *       is that of the instruction which stood there; a goroutine that is
 *       stopped there is scanned, moved and resumed like any other.
 *   it profiles (SIGPROF)
 *       sigprof() counts an address it does not know as external code.
 *   an instruction faults, which is how nil pointers panic
 *       sigpanic() is made to look called from there, and that frame has to be
 *       unwound.  So what can fault stays in place, but for one case: at a
 *       function's entry, before rsp has moved, (rsp) is the return address,
 *       and shouldPushSigpanic() takes an unknown address above a known one for
 *       a bad call: the panic begins in the caller, and the function, which has
 *       deferred nothing yet, is merely missing in the traceback.
 *   a recovered panic goes on
 *       at the function's deferreturn call (image.landing), behind a call of
 *       deferproc, or, up to 1.17, at the call of deferreturn five bytes before
 *       its return address.
 *   a function's stack has grown
 *       It goes on behind the call of morestack, with a jump to its entry.  Up
 *       to 1.16 rewindmorestack() decodes that jump, to put its target into the
 *       frame: it is left alone.
 *   it computes or compares addresses
 *       goexit is returned to at its second byte; gogo, mcall, systemstack and
 *       others exchange stacks; debuggers know sigreturn by its bytes;
 *       duffzero and duffcopy are entered anywhere.  No probe stands in those.
 *       FuncID and the flags of the function table name most of them.
 *
 * Padding between functions is none to the runtime: findfunc() takes it for the
 * function before, whose tables do not cover it, which is a fatal error.  So no
 * code stands there (hop.c), however short; but inside a function it may, where
 * the tables say what is right for the place it is reached from.
 *
 * Registers: compiled Go has none that a call keeps, but rsp, rbp, r14 (g) and
 * xmm15 (zero); arguments and results use neither r12, r13 nor r15 (live.c).
 * Assembly follows conventions of its own.
 */
#include "rewriter/site/targets.h"

// clang-format off
static const struct {
	const char *name;  /* of the function, or with * how it begins */
	const char *why;
} kept[] = {
	{ "runtime.goexit*",      "goroutines return to its second byte" },
	{ "runtime.sigreturn*",   "debuggers know it by its bytes" },
	{ "runtime.sigtramp*",    "it begins a signal handler" },
	{ "runtime.cgoSigtramp*", "it begins a signal handler" },
	{ "runtime.sigprofNonGo*", "it begins a signal handler" },
	{ "runtime.morestack*",   "it exchanges stacks" },
	{ "runtime.mstart*",      "unwinding ends here" },
	{ "runtime.rt0_go*",      "there is no runtime yet" },
	{ "_rt0_*",               "there is no runtime yet" },
	{ "gosave_systemstack_switch*", "it exchanges stacks" },
	{ "runtime.gosave*",      "it exchanges stacks" },
	{ "gogo*",                "it exchanges stacks" },
	{ "runtime.gogo*",        "it exchanges stacks" },
	{ "runtime.mcall*",       "it exchanges stacks" },
	{ "runtime.systemstack*", "it exchanges stacks" },
	{ "runtime.asmcgocall*",  "it exchanges stacks" },
	{ "runtime.cgocallback*", "it exchanges stacks" },
	{ "runtime.duff*",        "it is entered anywhere" },
};
// clang-format on

bool go_holds(const struct image *img, uint64_t addr)
{
	const struct go *g = img->go;
	const struct go_func *last = g ? &g->func[g->nfunc - 1] : NULL;

	return g && addr >= g->func->addr && addr < last->addr + last->size;
}

bool go_same_state(const struct sites *s, uint64_t at, uint64_t hop)
{
	enum { NOT_SAFE = -2 };
	const struct func *f = func_around(s, at);
	const struct go_func *g = f ? f->go : NULL;
	const struct go *go = s->img->go;
	int32_t sp, unsafe;

	if (!g || func_around(s, hop) != f)
		return false;
	sp = go_pc_value(go, g, g->pcsp, at);
	unsafe = go_pc_value(go, g, g->unsafe, hop);
	return sp != GO_NO_VALUE && sp == go_pc_value(go, g, g->pcsp, hop) &&
	       (unsafe == NOT_SAFE ||
		unsafe == go_pc_value(go, g, g->unsafe, at));
}

static bool name_is(const char *name, const char *what)
{
	size_t n = strcspn(what, "*");

	return !strncmp(name, what, n) && (what[n] || !name[n]);
}

const char *go_func_refusal(const struct func *f)
{
	const struct go_func *g = f->go;

	if (!g || !g->assembly)
		return NULL;
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (name_is(f->name, kept[i].name))
			return kept[i].why;
	if (g->id)
		return "the runtime knows its addresses";
	if (g->writes_sp)
		return "it exchanges stacks";
	return g->top_frame ? "unwinding ends here" : NULL;
}

/* cmp 16(%reg), %rsp, where reg is g, before that had a register. */
static bool is_stack_check(const uint8_t *p, const struct insn *in)
{
	return in->len == 4 && (p[0] & 0xfe) == 0x48 && p[1] == 0x3b &&
	       (p[2] & 0xf8) == 0x60;
}

/* The instruction at `at` in f. */
static bool decode(const struct sites *s, const struct func *f, uint64_t at,
		   struct insn *in)
{
	enum { LONGEST = 15 };
	uint64_t room = f->addr + f->size - at;
	const uint8_t *p = image_at(s->img, at, 1);

	return at - f->addr < f->size && p &&
	       insn_decode(p, room < LONGEST ? room : LONGEST, at, in);
}

/* Is the entry also the head of a loop? */
static bool loops_to_entry(const struct sites *s, const struct func *f)
{
	struct insn in;

	for (uint64_t at = f->addr; decode(s, f, at, &in); at += in.len)
		if (in.rel_off && in.target == f->addr)
			return true;
	return false;
}

/* Assembly has a package in its name when Go declares it; what is without (or
 * the runtime's: write barriers, panics, callbacks from C) has conventions of
 * its own. */
bool go_is_callable(const struct sites *s, const struct func *f)
{
	static const char *const ordinary[] = { "runtime.mem*",
						"runtime.strhash*",
						"runtime.cmpstring*" };

	if (!f->go || !f->go->assembly)
		return f->go != NULL;
	if (loops_to_entry(s, f))
		return false;
	for (size_t i = 0; i < sizeof(ordinary) / sizeof(*ordinary); i++)
		if (name_is(f->name, ordinary[i]))
			return true;
	return strchr(f->name, '.') && !name_is(f->name, "runtime.*");
}

enum { LEAST_PAGE = 4096 }; /* g is larger than what is read of it */

static bool can_fault(const struct sites *s, const struct func *f,
		      const uint8_t *p, const struct insn *in)
{
	struct touches t;

	if (!insn_touches(p, in->len, &t))
		return true;
	if (t.implicit || t.divides)
		return true;
	if (!t.memory || t.tls || t.rip)
		return false;
	if (t.index >= 0)
		return true;
	if (t.base == R14 && s->img->go->reg_abi && !f->go->assembly)
		return t.disp < 0 || t.disp >= LEAST_PAGE;
	return t.base >= 0 && t.base != RSP &&
	       !(is_stack_check(p, in) && !f->go->assembly);
}

/* Is rsp at insn[n] still what it was at the function's entry? */
static bool is_entered(const struct image *img, const struct func *f,
		       const struct insn *insn, unsigned n)
{
	struct effects e;

	if (insn[0].at != f->addr)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = image_at(img, insn[i].at, insn[i].len);

		if (!insn_effects(p, insn[i].len, &e) ||
		    e.writes & REG_BIT(RSP))
			return false;
	}
	return true;
}

static bool goes_to(const struct sites *s, uint64_t target, const char *name)
{
	const struct func *f = func_at(s, target);

	return f && name_is(f->name, name);
}

enum { CALL_SIZE = 5, CALL = 0xe8 };

static bool behind_morestack(const struct sites *s, const struct insn *in)
{
	const uint8_t *p = image_at(s->img, in->at - CALL_SIZE, CALL_SIZE);
	int32_t rel;

	if (in->flow != FLOW_JMP || !p || *p != CALL)
		return false;
	memcpy(&rel, p + 1, sizeof(rel));
	return goes_to(s, in->at + (uint64_t)(int64_t)rel,
		       "runtime.morestack*");
}

const char *go_insn_refusal(const struct sites *s, const struct func *f,
			    const struct insn *insn, unsigned n)
{
	const struct insn *in = &insn[n];
	const uint8_t *p = image_at(s->img, in->at, in->len);

	if (!f->go)
		return NULL;
	if (n == 0 && behind_morestack(s, in))
		return "the jump behind a call of morestack";
	if (n && in->flow == FLOW_CALL &&
	    goes_to(s, in->target, "runtime.deferreturn*"))
		return "a call that is made again from its return address";
	if (can_fault(s, f, p, in) && !is_entered(s->img, f, insn, n))
		return "what can fault";
	return NULL;
}

/* Does this branch of the prologue lead to morestack?  Registers are stored
 * before the call. */
static bool grows_stack(const struct sites *s, const struct func *f,
			uint64_t at)
{
	enum { MOST = 40 };
	struct insn in;

	for (int i = 0; i < MOST && decode(s, f, at, &in); i++) {
		if (in.flow == FLOW_CALL)
			return goes_to(s, in.target, "runtime.morestack*");
		if (in.flow != FLOW_NEXT)
			return false;
		at += in.len;
	}
	return false;
}

/* The prologue is
 *
 *     lea  -N(%rsp), %r12            large frames: this or more
 *     cmp  16(%r14), %rsp            r12
 *     jbe  grow                      may be two
 *     sub  $N, %rsp                  or push %rbp
 *
 * and nothing comes back to behind it but through the entry. */
uint64_t go_once(const struct sites *s, const struct func *f)
{
	enum { MOST = 10 };
	uint64_t at = f->addr, once = at, where;
	struct insn in;

	if (!f->go || f->go->assembly)
		return at;
	for (int i = 0; i < MOST && decode(s, f, at, &in); i++) {
		if (in.flow != FLOW_NEXT && in.flow != FLOW_JCC)
			break;
		at += in.len;
		if (in.flow == FLOW_JCC && grows_stack(s, f, in.target))
			once = at;
		else if (in.flow == FLOW_JCC)
			break;
	}
	if (once == f->addr ||
	    target_in(s, once - 1, once + 1, &where) != TARGET_NONE)
		return f->addr;
	return once;
}
