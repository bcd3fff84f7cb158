/* SPDX-License-Identifier: MIT */
/* main.c - bpfweld: the table of commands. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rewriter/cli/cli.h"

enum {
	WIDTH = 78
};

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct command commands[] = {
	// clang-format off
	{ "weld",    cmd_weld,    "put BPF programs into an ELF file" },
	{ "check",   cmd_check,   "show what weld would do; write nothing" },
	{ "list",    cmd_list,    "functions of an ELF file to probe" },
	{ "info",    cmd_info,    "what is inside a welded file" },
	{ "unweld",  cmd_unweld,  "restore the original file, byte for byte" },
	{ "map",     cmd_map,     "read and change the maps of a welded program" },
	{ "probe",   cmd_probe,   "switch the probes of a welded program" },
	{ "trace",   cmd_trace,   "print records of ring buffers as they come" },
	{ "diff",    cmd_diff,    "compare kernel uprobes with a weld" },
	{ "version", cmd_version, "print the version" },
	{ "help",    cmd_help,    "this text, or the help of a command" },
	{ NULL, NULL, NULL },
	// clang-format on
};

/* HELPER() takes the eight columns of helpers.def. */
#define HELPER(id, name, ...) #name,
static const char *const helpers[] = {
#include "runtime-stub/helpers.def"
};
enum {
	/* The last one is not for programs. */
	NHELPERS = sizeof(helpers) / sizeof(helpers[0]) - 1
};

static void helpers_print(FILE *to)
{
	size_t column = WIDTH;

	for (size_t i = 0; i < NHELPERS; i++) {
		size_t n = strlen(helpers[i]) + 2; /* comma and space */

		if (column + n > WIDTH) {
			fputs("\n   ", to);
			column = 3;
		}
		fprintf(to, " %s%s", helpers[i], i + 1 < NHELPERS ? "," : "");
		column += n;
	}
	fputc('\n', to);
}

static void usage(FILE *to)
{
	fputs("usage: bpfweld COMMAND [ARGUMENT]...\n"
	      "Welds BPF uprobe programs into x86-64 ELF files.\n\n",
	      to);
	cli_table(to, commands);
	fputs("\nEvery command takes -j for JSON and -h for its own help.\n",
	      to);
}

static int cmd_version(int argc, char **argv)
{
	struct json j = json_to(stdout, false);
	struct cli cli;
	struct err e;

	if (cli_parse(argc, argv, "j", &cli, &e))
		return cli_fail(&e, cli.json);
	if (cli.narg) {
		misuse(&e, "version wants no operands");
		return cli_fail(&e, cli.json);
	}
	if (cli.help) {
		cli_help("usage: bpfweld version [-j]\n");
	} else if (cli.json) {
		json_object(&j);
		json_str_at(&j, "version", BPFWELD_VERSION);
		json_u64_at(&j, "region_version", REGION_VERSION);
		json_key(&j, "helpers");
		json_array(&j);
		for (size_t i = 0; i < NHELPERS; i++)
			json_string(&j, helpers[i]);
		json_end(&j);
		json_end(&j);
		json_done(&j);
	} else {
		puts("bpfweld " BPFWELD_VERSION);
	}
	return 0;
}

static void help_print(FILE *to)
{
	usage(to);
	fputs("\nPrograms may use array and hash maps, ring and perf buffers, and these "
	      "helpers:",
	      to);
	helpers_print(to);
}

/* `help map dump` is `map dump --help`. */
static int help_of(char **word, int n)
{
	struct arena a = { 0 };
	char **args = arena_alloc(&a, (n + 2) * sizeof(*args));
	char help[] = "--help";
	int ret;

	memcpy(args, word, n * sizeof(*args));
	args[n] = help;
	ret = cli_dispatch(commands, "command", n + 1, args);
	arena_free(&a);
	return ret;
}

static int cmd_help(int argc, char **argv)
{
	struct cli cli;
	struct err e;

	if (cli_parse(argc, argv, "j", &cli, &e))
		return cli_fail(&e, cli.json);
	if (cli.narg)
		return help_of(cli.arg, cli.narg);
	cli_help_by(help_print);
	return 0;
}

static int run(int argc, char **argv)
{
	char version[] = "version", help[] = "help";

	if (argc < 2) {
		usage(stderr);
		return ERR_USAGE;
	}
	argv++;
	argc--;
	if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0)
		argv[0] = version;
	else if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
		argv[0] = help;
	return cli_dispatch(commands, "command", argc, argv);
}

/* Files are mapped to be read, regions as long as somebody is looking at them;
 * what has been cut off them faults. */
static void on_bus(int sig)
{
	static const char text[] = "bpfweld: a file, or a region, was made "
				   "shorter while it was read\n";

	(void)sig;
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(ERR_FAILED);
	_exit(ERR_FAILED);
}

/* No file that is opened shall become one of these: what is printed would be
 * written into it.  Nothing can be, to a null device that is open for reading. */
static void standard_files(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", O_RDONLY | O_CLOEXEC) != fd)
			_exit(ERR_FAILED);
}

int main(int argc, char **argv)
{
	standard_files();
	signal(SIGBUS, on_bus);
	cli_begin(argc, argv);
	return cli_flush(run(argc, argv));
}
