/* SPDX-License-Identifier: MIT */
/* spec.c - the two ways to say where a program goes.
 *
 *   SEC()  libbpf's:  uprobe/BINARY:FUNC[@VER][+OFF]     also uprobe.s
 *                     uprobe.multi/BINARY:GLOB           also uprobe.multi.s
 *                     uretprobe/..., uretprobe.multi/... the same, no +OFF
 *                     uprobe.session/BINARY:GLOB         entry and return
 *                     usdt/BINARY:PROVIDER:NAME          globs in both
 *                     uprobe                             no target: needs -p
 *   -p     bpftrace's: uprobe:FUNC[@VER][+OFF]  uprobe:0xADDR  uprobe:GLOB
 *                     uprobe:BINARY:FUNC...              then ",cookie=N"
 *                     uretprobe:...                      the same, no +OFF
 *                     usdt:[BINARY:]PROVIDER:NAME        globs in both
 *                     none                               left out
 *
 * Globs of SEC() are libbpf's, of * and ? only: an object shall be bound to the
 * same functions.  Those of -p have classes, too.
 *
 * As in libbpf, +OFF is what follows the last '+' if that is a number up to
 * the end; otherwise the '+' belongs to the name.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/bind.h"
#include "rewriter/names.h"

/* First matching row; `exact` rows do not match NAME.suffix. */
// clang-format off
static const struct {
	const char *type;
	bool exact, pattern, later;
	enum spec_kind kind;
} sections[] = {
	/* type                exact  pattern later  kind */
	{ "uprobe",            true,  false,  false, SPEC_UPROBE },
	{ "uprobe.s",          true,  false,  false, SPEC_UPROBE },
	{ "uprobe.multi",      true,  true,   false, SPEC_UPROBE },
	{ "uprobe.multi.s",    true,  true,   false, SPEC_UPROBE },
	{ "uretprobe",         true,  false,  false, SPEC_URETPROBE },
	{ "uretprobe.s",       true,  false,  false, SPEC_URETPROBE },
	{ "uretprobe.multi",   true,  true,   false, SPEC_URETPROBE },
	{ "uretprobe.multi.s", true,  true,   false, SPEC_URETPROBE },
	{ "uprobe.session",    true,  true,   false, SPEC_SESSION },
	{ "uprobe.session.s",  true,  true,   false, SPEC_SESSION },
	{ "usdt",              true,  true,   false, SPEC_USDT },
	{ "usdt.s",            true,  true,   false, SPEC_USDT },
	{ "tp",                false, false,  true,  0 },
	{ "tracepoint",        false, false,  true,  0 },
	{ "raw_tp",            false, false,  true,  0 },
	{ "raw_tracepoint",    false, false,  true,  0 },
	{ "ksyscall",          false, false,  true,  0 },
	{ "kretsyscall",       false, false,  true,  0 },
};

/* Kinds of -p, with bpftrace's short forms. */
static const struct {
	const char *name, *brief;
	bool later;
	enum spec_kind kind;
} kinds[] = {
	{ "uprobe",     "u",  false, SPEC_UPROBE },
	{ "uretprobe",  "ur", false, SPEC_URETPROBE },
	{ "usdt",       "U",  false, SPEC_USDT },
	{ "tracepoint", "t",  true,  0 },
};
// clang-format on

/* One more of those that a message lists. */
static const char *listed(struct arena *a, const char *list, const char *name)
{
	return arena_printf(a, "%s%s%s", list, *list ? ", " : "", name);
}

/* Types that SEC() may begin with; each has a form .s, for sleepable programs,
 * which is the row behind it. */
static const char *section_list(struct arena *a)
{
	const char *list = "";

	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i += 2)
		if (!sections[i].later)
			list = listed(a, list, sections[i].type);
	return list;
}

static const char *kind_list(struct arena *a)
{
	const char *list = "";

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!kinds[i].later)
			list = listed(a, list, kinds[i].name);
	return list;
}

/* Programs whose ctx is a struct pt_regs: -p may put them on a uprobe, as
 * bpf_program__attach_uprobe() may. */
static const char *const pt_regs_types[] = { "uprobe", "uretprobe", "kprobe",
					     "kretprobe", "usdt" };

static bool type_is(const char *sec, const char *type, bool exact)
{
	size_t n = strlen(type);

	return !strncmp(sec, type, n) &&
	       (!sec[n] || sec[n] == '/' || (!exact && sec[n] == '.'));
}

bool spec_takes_regs(const char *sec)
{
	size_t i;

	for (i = 0; i < sizeof(pt_regs_types) / sizeof(*pt_regs_types); i++)
		if (type_is(sec, pt_regs_types[i], false))
			return true;
	return false;
}

/* SEC("uretprobe/f") is no target to libbpf, but says which function is meant;
 * in SEC("kprobe/f") it is one of the kernel, or a stopgap. */
static const char *function_meant(const char *sec)
{
	const char *slash = strchr(sec, '/');
	bool kernel = *sec == 'k';
	size_t n = 0;

	if (!slash || kernel)
		return "FUNCTION";
	while (isalnum((unsigned char)slash[1 + n]) || slash[1 + n] == '_')
		n++;
	return n && !slash[1 + n] ? slash + 1 : NULL;
}

bool spec_is_kernels(const char *sec)
{
	return strchr(sec, '/') && (type_is(sec, "kprobe", false) ||
				    type_is(sec, "kretprobe", false));
}

const char *spec_suggest(struct arena *a, const char *sec)
{
	const char *f;

	if (!spec_takes_regs(sec))
		return NULL;
	if (type_is(sec, "usdt", false))
		return strchr(sec, '/') ? NULL : "usdt:PROVIDER:NAME";
	f = function_meant(sec);
	if (!f)
		return NULL;
	return arena_printf(
		a, "%s:%s",
		strstr(sec, "ret") == sec + 1 ? "uretprobe" : "uprobe", f);
}

/* strtoull that accepts nothing but a whole number. */
static bool whole(const char *s, uint64_t *out)
{
	uint64_t v;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || *end)
		return false;
	*out = v;
	return true;
}

/* FUNC[@VER][+OFF]; the text is cut up in place. */
static void function(char *text, struct spec *s, bool (*glob)(const char *))
{
	char *plus = strrchr(text, '+'), *at;

	if (plus && plus != text && whole(plus + 1, &s->offset))
		*plus = 0;
	s->func = text;
	s->glob = glob(text);
	at = strchr(text, '@');
	if (at && at != text && !s->glob) {
		*at++ = 0;
		s->version = at + (*at == '@');
	}
}

/* PROVIDER:NAME, both of them there. */
static bool is_probe(const char *s)
{
	const char *colon = strchr(s, ':');

	return colon && colon != s && colon[1] && !strchr(colon + 1, ':');
}

static int sec_target(struct arena *a, const char *sec, const char *target,
		      bool pattern, struct spec *out, struct err *e)
{
	char *text = arena_strdup(a, target), *colon = strchr(text, ':');

	if (!colon || !colon[1])
		return fail(e, NULL, NOWHERE,
			    "SEC(\"%s\") is not TYPE/BINARY:FUNCTION", sec);
	*colon = 0;
	out->binary = text;
	if (out->kind == SPEC_USDT && !is_probe(colon + 1))
		return fail(e, NULL, NOWHERE,
			    "SEC(\"%s\") is not usdt/BINARY:PROVIDER:NAME",
			    sec);
	if (pattern) {
		out->func = colon + 1;
		out->glob = is_glob_plain(out->func);
		return 0;
	}
	function(colon + 1, out, is_glob_plain);
	out->literal = out->glob;
	if (out->kind == SPEC_URETPROBE && out->offset)
		return fail(e, NULL, NOWHERE,
			    "SEC(\"%s\"): a return probe takes no offset", sec);
	return 0;
}

int spec_parse_sec(struct arena *a, const char *sec, struct spec *out,
		   bool *has_target, struct err *e)
{
	const char *slash = strchr(sec, '/');
	size_t i, n = sizeof(sections) / sizeof(*sections);

	*out = (struct spec){ .matches = name_matches_plain };
	*has_target = slash != NULL;
	for (i = 0; i < n; i++)
		if (type_is(sec, sections[i].type, sections[i].exact))
			break;
	if (i == n)
		return refuse(e, NULL, NOWHERE,
			      "SEC(\"%s\") has no meaning in user space; these "
			      "have: %s",
			      sec, section_list(a));
	if (sections[i].later)
		return refuse(e, NULL, NOWHERE,
			      "SEC(\"%s\") is not supported yet; these are: "
			      "%s",
			      sec, section_list(a));
	out->kind = sections[i].kind;
	return slash ? sec_target(a, sec, slash + 1, sections[i].pattern, out,
				  e)
		     : 0;
}

static int cookie(char *text, struct spec *out, struct err *e)
{
	static const char key[] = ",cookie=";
	char *from = strstr(text, key);

	if (!from)
		return 0;
	*from = 0;
	if (!whole(from + sizeof(key) - 1, &out->cookie))
		return misuse(e, "'%s' is not a cookie",
			      from + sizeof(key) - 1);
	return 0;
}

/* The kind of probe that a -p option begins with. */
static int kind_of(struct arena *a, const char *text, const char *word,
		   enum spec_kind *out, struct err *e)
{
	size_t i, n = sizeof(kinds) / sizeof(*kinds);

	for (i = 0; i < n; i++)
		if (!strcmp(word, kinds[i].name) ||
		    !strcmp(word, kinds[i].brief))
			break;
	if (i == n)
		return misuse(e,
			      "'%s': unknown kind of probe '%s'; there are: "
			      "%s%s",
			      text, word, kind_list(a),
			      strchr(word, '.') ? " (what is behind a dot, as "
						  "in uprobe.session, the "
						  "program's section says)"
						: "");
	if (kinds[i].later)
		return refuse(e, NULL, NOWHERE,
			      "'%s' is not supported yet; there are: %s", text,
			      kind_list(a));
	*out = kinds[i].kind;
	return 0;
}

/* [BINARY:]PROVIDER:NAME */
static int usdt(const char *text, char *s, struct spec *out, struct err *e)
{
	char *name = strrchr(s, ':'), *provider;

	if (name) {
		*name = 0;
		provider = strrchr(s, ':');
		*name = ':';
		if (provider) {
			*provider = 0;
			out->binary = s;
			s = provider + 1;
		}
	}
	if (!is_probe(s))
		return misuse(e, "'%s' is not usdt:PROVIDER:NAME", text);
	out->func = s;
	out->glob = is_glob(s);
	return 0;
}

/* The last ':' that is none of a "::", which belongs to a name; or NULL. */
static char *last_colon(char *s)
{
	for (char *p = s + strlen(s); p-- > s;)
		if (*p == ':' && (p == s || p[-1] != ':') && p[1] != ':')
			return p;
	return NULL;
}

int spec_parse(struct arena *a, const char *text, struct spec *out,
	       struct err *e)
{
	char *s = arena_strdup(a, text), *colon;

	*out = (struct spec){ .matches = name_matches };
	if (cookie(s, out, e))
		return -1;
	colon = strchr(s, ':');
	if (!colon || colon == s)
		return misuse(e,
			      "'%s' is not a probe: uprobe:FUNCTION, "
			      "uretprobe:FUNCTION, uprobe:0xADDRESS, "
			      "usdt:PROVIDER:NAME",
			      text);
	*colon = 0;
	if (kind_of(a, text, s, &out->kind, e))
		return -1;
	s = colon + 1;
	if (out->kind == SPEC_USDT)
		return usdt(text, s, out, e);
	colon = last_colon(s);
	if (colon) {
		*colon = 0;
		out->binary = s;
		s = colon + 1;
	}
	if (!*s)
		return misuse(e, "'%s' names no function", text);
	out->by_addr = !strncmp(s, "0x", 2) && whole(s, &out->addr);
	if (out->by_addr)
		return 0;
	function(s, out, is_glob);
	if (out->kind == SPEC_URETPROBE && out->offset)
		return misuse(e, "'%s': a return probe takes no offset", text);
	return 0;
}
