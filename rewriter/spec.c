/* SPDX-License-Identifier: MIT */
/* spec.c - the two ways to say where a program goes.
 *
 *   SEC()  libbpf's:  uprobe/BINARY:FUNC[@VER][+OFF]     also uprobe.s
 *                     uprobe.multi/BINARY:GLOB           also uprobe.multi.s
 *                     uprobe                             no target: needs -p
 *   -p     bpftrace's: uprobe:FUNC[@VER][+OFF]  uprobe:0xADDR  uprobe:GLOB
 *                     uprobe:BINARY:FUNC...              then ",cookie=N"
 *
 * As in libbpf, +OFF is what follows the last '+' if that is a number up to
 * the end; otherwise the '+' belongs to the name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter/bind.h"

enum sec_meaning {
	SEC_UPROBE,
	SEC_MULTI,
	SEC_LATER,
	SEC_KERNEL
};

/* First matching row; `exact` rows do not match NAME.suffix. */
// clang-format off
static const struct {
	const char *type;
	bool exact;
	enum sec_meaning meaning;
} sections[] = {
	/* type              exact  meaning */
	{ "uprobe",          true,  SEC_UPROBE },
	{ "uprobe.s",        true,  SEC_UPROBE },
	{ "uprobe.multi",    true,  SEC_MULTI },
	{ "uprobe.multi.s",  true,  SEC_MULTI },
	{ "uprobe",          false, SEC_LATER }, /* uprobe.session */
	{ "uretprobe",       false, SEC_LATER },
	{ "usdt",            false, SEC_LATER },
	{ "tp",              false, SEC_LATER },
	{ "tracepoint",      false, SEC_LATER },
	{ "raw_tp",          false, SEC_LATER },
	{ "raw_tracepoint",  false, SEC_LATER },
	{ "ksyscall",        false, SEC_LATER },
	{ "kretsyscall",     false, SEC_LATER },
};
// clang-format on

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
static void function(char *text, struct spec *s)
{
	char *plus = strrchr(text, '+'), *at;

	if (plus && plus != text && whole(plus + 1, &s->offset))
		*plus = 0;
	s->func = text;
	s->glob = strpbrk(text, "*?");
	at = strchr(text, '@');
	if (at && at != text && !s->glob) {
		*at++ = 0;
		s->version = at + (*at == '@');
	}
}

static int sec_target(struct arena *a, const char *sec, const char *target,
		      enum sec_meaning meaning, struct spec *out, struct err *e)
{
	char *text = arena_strdup(a, target), *colon = strchr(text, ':');

	if (!colon || !colon[1])
		return fail(e, NULL, NOWHERE,
			    "SEC(\"%s\") is not TYPE/BINARY:FUNCTION", sec);
	*colon = 0;
	out->binary = text;
	if (meaning == SEC_MULTI) {
		out->func = colon + 1;
		out->glob = strpbrk(out->func, "*?");
		return 0;
	}
	function(colon + 1, out);
	if (out->glob)
		return fail(e, NULL, NOWHERE,
			    "SEC(\"%s\"): only uprobe.multi takes a pattern",
			    sec);
	return 0;
}

int spec_parse_sec(struct arena *a, const char *sec, struct spec *out,
		   bool *has_target, struct err *e)
{
	const char *slash = strchr(sec, '/');
	size_t i, n = sizeof(sections) / sizeof(*sections);

	memset(out, 0, sizeof(*out));
	*has_target = slash != NULL;
	for (i = 0; i < n; i++)
		if (type_is(sec, sections[i].type, sections[i].exact))
			break;
	if (i == n)
		return refuse(e, NULL, NOWHERE,
			      "SEC(\"%s\") has no meaning in user space", sec);
	if (sections[i].meaning == SEC_LATER)
		return refuse(e, NULL, NOWHERE,
			      "SEC(\"%s\") is not supported yet: only uprobe",
			      sec);
	out->kind = SPEC_UPROBE;
	return slash ? sec_target(a, sec, slash + 1, sections[i].meaning, out,
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

int spec_parse(struct arena *a, const char *text, struct spec *out,
	       struct err *e)
{
	char *s = arena_strdup(a, text), *colon;

	memset(out, 0, sizeof(*out));
	if (cookie(s, out, e))
		return -1;
	colon = strchr(s, ':');
	if (!colon || colon == s)
		return misuse(e,
			      "'%s' is not a probe: uprobe:FUNCTION, "
			      "uprobe:0xADDRESS",
			      text);
	*colon = 0;
	if (strcmp(s, "uprobe") && strcmp(s, "u")) {
		if (!strcmp(s, "uretprobe") || !strcmp(s, "usdt") ||
		    !strcmp(s, "tracepoint"))
			return refuse(e, NULL, NOWHERE,
				      "'%s' is not supported yet: only uprobe",
				      text);
		return misuse(e, "'%s': unknown kind of probe '%s'", text, s);
	}
	s = colon + 1;
	colon = strrchr(s, ':');
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
	function(s, out);
	if (out->glob && out->offset)
		return misuse(e, "'%s': a pattern takes no offset", text);
	return 0;
}
