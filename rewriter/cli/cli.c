/* SPDX-License-Identifier: MIT */
/* cli.c - options, errors and near misses, the same for all commands. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "rewriter/cli/cli.h"
#include "rewriter/names.h"

/* --- What all commands see. */

static bool json_asked;

/* -j, --json or a beginning of it, or a cluster with a j that is no value. */
static bool asks_json(const char *word)
{
	if (strncmp(word, "--j", 3) == 0)
		return strncmp(word, "--json", strcspn(word, "=")) == 0;
	if (word[0] != '-' || word[1] == '-')
		return false;
	return word[strcspn(word, "jopC")] == 'j';
}

void cli_begin(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		json_asked |= asks_json(argv[i]);
}

static int unknown(struct err *e, const char *what, const char *word,
		   const char *const *names, size_t n)
{
	struct arena a = { 0 };

	misuse(e, "unknown %s '%s'%s", what, word,
	       names_closest(&a, word, names, n));
	arena_free(&a);
	return -1;
}

/* --- Options. */

enum {
	OPTIONS_MAX = 32,
	EXIT_SKIPPED = 77
};

static int unknown_long(struct err *e, const char *word,
			const struct option *longs)
{
	const char *names[OPTIONS_MAX];
	struct arena a = { 0 };
	size_t n = 0;

	word = arena_printf(&a, "%.*s", (int)strcspn(word, "="), word);
	for (; n < OPTIONS_MAX && longs[n].name; n++)
		names[n] = arena_printf(&a, "--%s", longs[n].name);
	unknown(e, "option", word, names, n);
	arena_free(&a);
	return -1;
}

/* In a word of its own: `-o -j` lacks a value, and --output=-j says it. */
static bool is_option(char **argv)
{
	return optarg && optind > 2 && optarg == argv[optind - 1] &&
	       optarg[0] == '-' && optarg[1];
}

int cli_option(int argc, char **argv, const char *shorts,
	       const struct option *longs, struct err *e)
{
	int at = optind ? optind : 1, c;
	const char *word;

	opterr = 0;
	c = getopt_long(argc, argv, shorts, longs, NULL);
	if (c != '?' && c != ':' && is_option(argv)) {
		misuse(e, "option '%s' needs a value, not '%s'",
		       argv[optind - 2], optarg);
		return '?';
	}
	if (c != '?' && c != ':')
		return c;
	/* The word at fault is behind us, or before us in a cluster (-xj). */
	word = argv[optind > 1 && optind > at ? optind - 1 : optind];
	if (c == ':')
		misuse(e, "option '%s' needs a value", word);
	else if (word && strncmp(word, "--", 2) == 0 && !optopt)
		unknown_long(e, word, longs);
	else if (word && strncmp(word, "--", 2) == 0)
		misuse(e, "option '%.*s' takes no value",
		       (int)strcspn(word, "="), word);
	else if (optopt >= '0' && optopt <= '9')
		misuse(e,
		       "unknown option '-%c' (a negative number goes "
		       "behind --)",
		       optopt);
	else
		misuse(e, "unknown option '-%c'", optopt);
	return '?';
}

static const struct option all_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "output", required_argument, NULL, 'o' },
	{ "usdt", no_argument, NULL, 'U' },
	{ "syscalls", no_argument, NULL, 'S' },
	{ "folded", no_argument, NULL, 'F' },
	{ "counts", required_argument, NULL, 'C' },
	{ NULL, 0, NULL, 0 },
};

/* Rows of all_options[] that this command has, and their letters. */
static void options_of(const char *letters, struct option *longs, char *shorts)
{
	*shorts++ = ':';
	for (const struct option *o = all_options; o->name; o++) {
		if (o->val != 'h' && !strchr(letters, o->val))
			continue;
		*longs++ = *o;
		*shorts++ = (char)o->val;
		if (o->has_arg)
			*shorts++ = ':';
	}
	*longs = (struct option){ NULL, 0, NULL, 0 };
	*shorts = 0;
}

int cli_output(const char *arg, const char **out, struct err *e)
{
	*out = arg;
	if (*arg)
		return 0;
	return misuse(e, "-o is empty: it wants a file's name");
}

int cli_parse(int argc, char **argv, const char *options, struct cli *out,
	      struct err *e)
{
	struct option longs[sizeof(all_options) / sizeof(all_options[0])];
	char shorts[2 * sizeof(longs) / sizeof(longs[0]) + 2];
	int c;

	*out = (struct cli){ 0 };
	options_of(options, longs, shorts);
	optind = 0;
	while ((c = cli_option(argc, argv, shorts, longs, e)) != -1) {
		switch (c) {
		case 'j':
			out->json = true;
			break;
		case 'h':
			out->help = true;
			break;
		case 'o':
			if (cli_output(optarg, &out->output, e))
				return -1;
			break;
		case 'U':
			out->usdt = true;
			break;
		case 'S':
			out->syscalls = true;
			break;
		case 'F':
			out->folded = true;
			break;
		case 'C':
			out->counts = optarg;
			break;
		default:
			return -1;
		}
	}
	out->arg = argv + optind;
	out->narg = argc - optind;
	return 0;
}

/* --- Commands. */

int cli_dispatch(const struct command *table, const char *what, int argc,
		 char **argv)
{
	const char *names[OPTIONS_MAX];
	struct err e;
	size_t n = 0;

	for (; table[n].name; n++) {
		if (strcmp(table[n].name, argv[0]) == 0)
			return table[n].run(argc, argv);
		names[n] = table[n].name;
	}
	if (asks_json(argv[0]))
		misuse(&e, "'%s' goes behind the %s", argv[0], what);
	else if (argv[0][0] == '-')
		misuse(&e, "unknown option '%s'", argv[0]);
	else
		unknown(&e, what, argv[0], names, n);
	return cli_fail(&e, false);
}

void cli_table(FILE *to, const struct command *table)
{
	for (; table->name; table++)
		say_to(to, "    %-8s %s\n", table->name, table->help);
}

/* --- Output. */

void cli_error_json(struct json *j, const struct err *e)
{
	const char *file = e->file && !*e->file ? "''" : e->file;
	struct arena a = { 0 };

	json_key(j, "error");
	if (file && e->at != NOWHERE)
		json_string(j, arena_printf(&a, "%s:0x%llx: %s", file,
					    (unsigned long long)e->at,
					    e->what));
	else if (file)
		json_string(j, arena_printf(&a, "%s: %s", file, e->what));
	else
		json_string(j, e->what);
	arena_free(&a);
}

int cli_fail(const struct err *e, bool json)
{
	struct json j = json_to(stdout, false);

	if (!json && !(json_asked && e->kind == ERR_USAGE)) {
		err_print(stderr, e);
		return (int)e->kind;
	}
	json_object(&j);
	cli_error_json(&j, e);
	json_end(&j);
	json_done(&j);
	return (int)e->kind;
}

void cli_help(const char *text)
{
	struct json j = json_to(stdout, false);

	if (!json_asked) {
		fputs(text, stdout);
		return;
	}
	json_object(&j);
	json_str_at(&j, "help", text);
	json_end(&j);
	json_done(&j);
}

void cli_help_by(void (*print)(FILE *to))
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		abort(); /* as without memory elsewhere */
	print(to);
	fclose(to);
	cli_help(text);
	free(text);
}

int cli_skip(const char *what, const char *why, bool json)
{
	struct json j = json_to(stdout, false);

	if (!json) {
		say_to(stderr, "bpfweld: %s skipped: %s\n", what, why);
		return EXIT_SKIPPED;
	}
	json_object(&j);
	json_str_at(&j, "skipped", why);
	json_end(&j);
	json_done(&j);
	return EXIT_SKIPPED;
}

static char done[200]; /* what is not taken back */

void cli_done(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(done, sizeof(done), fmt, ap);
	va_end(ap);
}

int cli_flush(int code)
{
	struct err e;

	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fail(&e, "standard output", NOWHERE, "%s%s%s",
	     errno ? strerror(errno) : "cannot be written",
	     *done ? "; but " : "", done);
	return cli_fail(&e, false);
}

void cli_hex_id(const uint8_t id[16], char out[33])
{
	for (int i = 0; i < 16; i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
}

const char *cli_map_type(uint32_t type)
{
	const char *s = libbpf_bpf_map_type_str((enum bpf_map_type)type);

	if (type == BPF_MAP_TYPE_UNSPEC) /* layout.md */
		return "unused";
	return s ? s : "?";
}
