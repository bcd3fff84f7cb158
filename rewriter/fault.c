/* SPDX-License-Identifier: MIT */
/* fault.c - may the stub catch SIGSEGV, or must it ask first?
 *
 * A handler is invisible only where nobody looks at, sets or blocks signals,
 * and where there is always room for a signal's frame.  --fault=auto wants that
 * proved, of the target and of every library it needs:
 *
 *     a program that ld.so starts, so that we are there before its own code
 *     and know whose code it can be; no Go
 *     none of the functions in `signals` is imported, nor dlopen(), behind
 *     which anything may be, nor one in `modules`, with which the C library
 *     calls it
 *     no system call instruction of its own
 *
 * Libraries that are part of the C library are taken as what they are known to
 * be, with libgcc_s, which it loads to unwind, and with its own modules for the
 * character set of a locale; one that is not found is not known.  That is a
 * proof about files: the sum of their build ids' digests goes with it, and the
 * stub finds out whether those files are what the process has
 * (runtime-stub/libs.c); so one without a build id proves nothing.
 *
 * Where all of that holds, reads need no system call at all.  --fault=signal
 * makes the stub look, once a run of a program, whether the handlers are still
 * there; then nothing need be proved.
 *
 * Without a handler the kernel is asked first.  Where threads can unmap what
 * was just asked about, it copies instead; but not where the process may have a
 * filter of system calls that kills, which knows nothing of that call.
 */
#include "elf/dynamic.h"
#include "elf/needs.h"
#include "rewriter/fault.h"
#include "rewriter/site/insn.h"

enum { LIBS_MAX = 256, PAGE = 4096 };

/* They set or block signals or show what is set; make stacks; or start code
 * with signals blocked, as glibc's helper threads do. */
static const char *const signals[] = {
	"sigaction", "__sigaction", "__libc_sigaction", "signal", "bsd_signal",
	"sysv_signal", "__sysv_signal", "ssignal", "sigset", "sigvec",
	"sigignore", "siginterrupt", "sighold", "sigrelse", "sigpause",
	"__sigpause", "sigblock", "sigsetmask", "sigprocmask",
	"pthread_sigmask", "pthread_attr_setsigmask_np",
	"sigaltstack", "sigstack", "sigreturn", "sigsuspend", "__sigsuspend",
	"sigwait", "sigwaitinfo", "sigtimedwait", "signalfd", "makecontext",
	"setcontext", "swapcontext", "pthread_attr_setstack",
	"pthread_attr_setstackaddr", "timer_create", "mq_notify", "aio_read",
	"aio_read64", "aio_write", "aio_write64", "aio_fsync", "aio_fsync64",
	"lio_listio", "lio_listio64", "getaddrinfo_a", "clone", "clone3",
	"__clone", "syscall", "dlopen", "dlmopen", "dlsym", "dlvsym",
	/* the stack's limit, of which arming makes half safe */
	"setrlimit", "setrlimit64", "__setrlimit", "prlimit", "prlimit64",
};
/* glibc loads for them what /etc/nsswitch.conf names, and iconv_open() what
 * anybody may have added to gconv: all that reach its dlopen() in the call
 * graphs of 2.36, and those that look for the group of terminals before 2.33.
 * (Almost everything reaches gconv by the locale's character set, which nearly
 * always is built in, else the C library's own module: see libs.c.) */
static const char *const modules[] = {
	"iconv_open",
	"authdes_create", "authdes_getucred", "authdes_pk_create", "callrpc",
	"clnt_create", "cuserid", "endaliasent", "endgrent", "endhostent",
	"endnetent", "endnetgrent", "endprotoent", "endpwent", "endrpcent",
	"endservent", "endsgent", "endspent", "ether_hostton", "ether_ntohost",
	"forkpty", "getaddrinfo", "getaliasbyname", "getaliasbyname_r",
	"getaliasent", "getaliasent_r", "getgrent", "getgrent_r", "getgrgid",
	"getgrgid_r", "getgrnam", "getgrnam_r", "getgrouplist", "gethostbyaddr",
	"gethostbyaddr_r", "gethostbyname", "gethostbyname2",
	"gethostbyname2_r", "gethostbyname_r", "gethostent", "gethostent_r",
	"gethostid", "getlogin", "getlogin_r", "__getlogin_r_chk",
	"getnameinfo", "getnetbyaddr", "getnetbyaddr_r", "getnetbyname",
	"getnetbyname_r", "getnetent", "getnetent_r", "getnetgrent",
	"getnetgrent_r", "getprotobyname", "getprotobyname_r",
	"getprotobynumber", "getprotobynumber_r", "getprotoent",
	"getprotoent_r", "getpublickey", "getpw", "getpwent", "getpwent_r",
	"getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getrpcbyname",
	"getrpcbyname_r", "getrpcbynumber", "getrpcbynumber_r", "getrpcent",
	"getrpcent_r", "getrpcport", "getsecretkey", "getservbyname",
	"getservbyname_r", "getservbyport", "getservbyport_r", "getservent",
	"getservent_r", "getsgent", "getsgent_r", "getsgnam", "getsgnam_r",
	"getspent", "getspent_r", "getspnam", "getspnam_r", "glob", "glob64",
	"grantpt", "initgroups", "innetgr", "iruserok", "iruserok_af",
	"__ivaliduser", "key_decryptsession", "key_decryptsession_pk",
	"key_encryptsession", "key_encryptsession_pk", "key_get_conv",
	"key_secretkey_is_set", "key_setnet", "key_setsecret", "netname2user",
	"openpty", "rcmd", "rcmd_af", "rexec", "rexec_af", "ruserok",
	"ruserok_af", "setaliasent", "setgrent", "sethostent", "setnetent",
	"setnetgrent", "setprotoent", "setpwent", "setrpcent", "setservent",
	"setsgent", "setspent", "wordexp",
};
/* With ",ccs=" in the mode they are iconv_open() as well. */
static const char *const opens[] = { "fopen", "fopen64", "freopen",
				     "freopen64" };
static const char *const threads[] = {
	"pthread_create", "thrd_create", "clone", "clone3", "__clone",
	"syscall", "dlopen", "dlmopen", "timer_create", "mq_notify",
	"aio_read", "aio_read64", "aio_write", "aio_write64", "getaddrinfo_a",
};
static const char *const filters[] = {
	"prctl", "syscall", "seccomp_load", "seccomp_init", "dlopen",
	"dlmopen",
};
/* Who has it may make pages of its own data unreadable. */
static const char *const protects[] = { "mprotect", "pkey_mprotect" };
/* glibc, musl, and what gcc links against. */
static const char *const known_libs[] = {
	"libc.so.6", "ld-linux-x86-64.so.2", "libm.so.6", "libmvec.so.1",
	"libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2",
	"libgcc_s.so.1", "libstdc++.so.6", "libc.musl-x86_64.so.1",
	"ld-musl-x86_64.so.1",
};
#define HAS(list, name) has(list, sizeof(list) / sizeof(*(list)), name)

static bool has(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

struct closure {
	struct weld *w;
	const char *lib[LIBS_MAX]; /* by the name that asks for it */
	size_t nlib;
	uint64_t *digest;          /* of what must be mapped, each once */
	size_t ndigest;
	uint64_t sum;              /* of them */
	const char *doubt;         /* why not to catch, or NULL */
	bool threads, filters;
};

static void doubt(struct closure *c, const struct image *img, const char *verb,
		  const char *what)
{
	if (c->doubt)
		return;
	c->doubt = arena_printf(&c->w->arena, "%s %s%s",
				img == &c->w->img ? "it" : img->path, verb,
				what);
}

static bool opens_as(const struct image *img, const char *import)
{
	return HAS(opens, import) &&
	       memmem(img->file.p, img->file.n, ",ccs=", 5);
}

static void imports_judge(struct closure *c, const struct image *img,
			  const struct needs *n)
{
	for (size_t i = 0; i < n->nimport; i++) {
		if (HAS(signals, n->import[i]) ||
		    HAS(modules, n->import[i]) || opens_as(img, n->import[i]))
			doubt(c, img, "imports ", n->import[i]);
		if (!strncmp(n->import[i], "__asan_", 7) ||
		    !strncmp(n->import[i], "__tsan_", 7))
			doubt(c, img, "has a sanitizer", "");
		c->threads |= HAS(threads, n->import[i]);
		c->filters |= HAS(filters, n->import[i]);
	}
}

/* syscall, sysenter, int $0x80 */
static bool is_call(const uint8_t *p)
{
	return (p[0] == 0x0f && (p[1] == 0x05 || p[1] == 0x34)) ||
	       (p[0] == 0xcd && p[1] == 0x80);
}

static bool has_call(const uint8_t *p, uint64_t n)
{
	for (uint64_t i = 0; i + 1 < n; i++)
		if (is_call(p + i))
			return true;
	return false;
}

static bool goes_on(const struct insn *in)
{
	return in->flow != FLOW_JMP && in->flow != FLOW_JMP_IND &&
	       in->flow != FLOW_RET && in->flow != FLOW_STOP;
}

/* The bytes may be a part of anything: it is decoded from its first one.  Behind
 * what never goes on may be data, which swallows instructions. */
static bool makes_calls(const struct image *img, const struct fde *f)
{
	const uint8_t *p = image_at(img, f->start, f->size);
	struct insn in;
	bool on = true;

	for (uint64_t at = 0; p && at < f->size; at += in.len) {
		if (!insn_decode(p + at, f->size - at, f->start + at, &in) ||
		    in.flow == FLOW_SYSCALL || (!on && has_call(p + at, in.len)))
			return true;
		on = goes_on(&in);
	}
	return !p;
}

/* Where no frame description says that it is code, it may be. */
static void calls_judge_segment(struct closure *c, const struct image *img,
				const struct segment *s)
{
	const uint8_t *p = image_at(img, s->vaddr, s->filesz);
	const struct fde *f, *good = NULL;

	for (uint64_t i = 0; p && i + 1 < s->filesz && !c->doubt; i++) {
		if (!is_call(p + i))
			continue;
		f = image_fde(img, s->vaddr + i);
		if (!f || (f != good && makes_calls(img, f)))
			doubt(c, img, "makes system calls itself", "");
		good = f;
	}
}

static void calls_judge(struct closure *c, const struct image *img)
{
	for (size_t i = 0; i < img->nseg; i++)
		if (img->seg[i].type == PT_LOAD && img->seg[i].flags & PF_X)
			calls_judge_segment(c, img, &img->seg[i]);
}

/* It is to be among what is mapped. */
static void seen_add(struct closure *c, const struct image *img)
{
	uint8_t id[BUILD_ID] = { 0 };
	uint64_t digest;

	if (!img->build_id.n || img->build_id.n > sizeof(id)) {
		doubt(c, img, "has no build id", "");
		return;
	}
	memcpy(id, img->build_id.p, img->build_id.n);
	digest = file_digest(id);
	for (size_t i = 0; i < c->ndigest; i++)
		if (c->digest[i] == digest)
			return; /* by another name */
	c->digest = arena_push(&c->w->arena, c->digest, c->ndigest,
			       sizeof(*c->digest));
	c->digest[c->ndigest++] = digest;
	c->sum += digest;
}

static void file_judge(struct closure *c, const struct image *img, bool known);

static void lib_judge(struct closure *c, const struct image *from,
		      const struct needs *n, const char *name)
{
	const char *slash = strrchr(name, '/');
	bool known = HAS(known_libs, slash ? slash + 1 : name);
	const char *path;
	struct image img;
	struct err e;

	if (has(c->lib, c->nlib, name) || (known && c->doubt))
		return;
	path = needs_find(&c->w->arena, from, n, name);
	if (!path || c->nlib == LIBS_MAX ||
	    image_read(&c->w->arena, path, &img, &e)) {
		doubt(c, from, "needs a library that cannot be read: ", name);
		c->threads |= !known;
		c->filters |= !known;
		return;
	}
	/* What it is known by is in a file that is unmapped before it. */
	c->lib[c->nlib++] = arena_strdup(&c->w->arena, name);
	seen_add(c, &img);
	file_judge(c, &img, known);
	image_close(&img);
}

/* Of what is known, only what it needs. */
static void file_judge(struct closure *c, const struct image *img, bool known)
{
	struct needs n;
	struct err e;

	if (needs_read(&c->w->arena, img, &n, &e)) {
		doubt(c, img, "cannot be read", "");
		c->threads = c->filters = true;
		return;
	}
	if (!known)
		imports_judge(c, img, &n);
	if (c->doubt && c->threads && c->filters)
		return; /* it cannot become worse */
	if (!known)
		calls_judge(c, img);
	if (img->interp && img == &c->w->img)
		lib_judge(c, img, &n, img->interp);
	for (size_t i = 0; i < n.nlib; i++)
		lib_judge(c, img, &n, n.lib[i]);
}

/* What nobody can know of the process that our code will be in. */
static const char *unknown(const struct image *img)
{
	if (img->go)
		return "it is a Go program";
	if (img->dso)
		return "it is a library";
	if (!img->interp || !img->entry)
		return "it is static";
	return NULL;
}

static bool stays_loaded(const struct image *img)
{
	uint64_t flags;

	return dynamic_get(img, DT_FLAGS_1, &flags) && (flags & DF_1_NODELETE);
}

/* Nobody makes guard pages of .data or .bss?  Go's runtime does not. */
static bool data_stays(struct weld *w)
{
	struct needs n;
	struct err e;

	if (w->img.go)
		return true;
	if ((!w->img.dso && !w->img.interp) ||
	    needs_read(&w->arena, &w->img, &n, &e))
		return false;
	for (size_t i = 0; i < n.nimport; i++)
		if (HAS(protects, n.import[i]))
			return false;
	return true;
}

static uint32_t without_signals(const struct closure *c)
{
	return c->threads && !c->filters ? FAULT_COPY : 0;
}

int fault_choose(struct weld *w, const struct weld_options *opt, struct err *e)
{
	struct closure c = { .w = w, .doubt = unknown(&w->img) };

	if (opt->usdt_nop5)
		c.doubt = "it has no programs";
	if (c.doubt)
		c.filters = true;
	else
		file_judge(&c, &w->img, false);
	w->fault = without_signals(&c);
	w->fault_why = c.doubt;
	w->data_stays = data_stays(w);
	if (opt->fault == FAULT_SYSCALL) {
		w->fault_why = "as told";
	} else if (opt->fault == FAULT_SIGNAL) {
		if (w->img.dso && !stays_loaded(&w->img))
			return refuse(e, w->img.path, NOWHERE,
				      "--fault=signal: a library that can be "
				      "unloaded cannot leave handlers behind");
		w->fault |= FAULT_CATCH | FAULT_TOLD;
		w->fault_why = "as told; the handlers are looked for in each "
			       "run";
	}
	if (opt->fault != FAULT_SYSCALL && !c.doubt) {
		w->fault |= FAULT_CATCH | FAULT_TRUST;
		w->fault_libs = c.sum;
		w->fault_why = "nothing in it sets or blocks signals";
	}
	return 0;
}

const char *fault_name(uint32_t ways)
{
	return ways & FAULT_CATCH ? "signal" : "syscall";
}

/* --- Memory that is there. ---------------------------------------------- */

struct span {
	uint64_t lo, hi;
};

static void span_add(struct span *v, size_t *n, size_t max, uint64_t lo,
		     uint64_t hi)
{
	lo -= lo % PAGE;
	hi = align_up(hi, PAGE);
	if (*n && lo >= v[*n - 1].lo && lo <= v[*n - 1].hi)
		v[*n - 1].hi = hi > v[*n - 1].hi ? hi : v[*n - 1].hi;
	else if (*n < max)
		v[(*n)++] = (struct span){ lo, hi };
}

/* Pages of segments that can be read, in the order of their addresses, which is
 * that of the program headers.  Ours come last and are never left out. */
static size_t spans_find(const struct weld *w, struct span *v)
{
	uint64_t rw = emit_rw_vaddr(&w->room, w->rx.n);
	size_t n = 0;

	for (size_t i = 0; i < w->img.nseg; i++) {
		const struct segment *s = &w->img.seg[i];

		if (s->type == PT_LOAD && (s->flags & PF_R) &&
		    (w->data_stays || !(s->flags & PF_W)))
			span_add(v, &n, KNOWN_RANGES - 2, s->vaddr,
				 s->vaddr + s->memsz);
	}
	span_add(v, &n, KNOWN_RANGES, w->room.rx_vaddr,
		 w->room.rx_vaddr + w->rx.n);
	span_add(v, &n, KNOWN_RANGES, rw, rw + w->edits.rw_memsz);
	return n;
}

void fault_write(struct weld *w)
{
	struct weld_info *info = (void *)(w->rx.p + w->info_vaddr -
					  w->rx.vaddr);
	struct span v[KNOWN_RANGES];
	size_t n = spans_find(w, v);

	info->fault = w->fault;
	info->libs = w->fault_libs;
	for (size_t i = 0; i < n; i++)
		if (v[i].hi - v[i].lo <= UINT32_MAX)
			info->known[i] = (struct weld_range){
				.at = (int32_t)(v[i].lo - w->info_vaddr),
				.size = (uint32_t)(v[i].hi - v[i].lo),
			};
}
