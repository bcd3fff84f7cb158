/* SPDX-License-Identifier: MIT */
/* cli.h - the commands, and what they share.
 *
 * A command is `int cmd_NAME(int argc, char **argv)` in a file of its own;
 * argv[0] is the command's name.  It returns the exit code: 0, or the kind of
 * its error (elf/err.h).  Results go to standard output, errors to standard
 * error as one line; under -j an error is {"error":"..."} on standard output,
 * and nothing else is there.
 */
#ifndef BPFWELD_CLI_H
#define BPFWELD_CLI_H

#include <getopt.h>
#include <stdbool.h>

#include "elf/arena.h"
#include "elf/err.h"
#include "elf/text.h"
#include "runtime-stub/reader/json.h"
#include "runtime-stub/reader/manifest.h"

/* main() calls it first, with its own words: does one of them ask for JSON?
 * For errors of the command line, which end its reading before that is known,
 * and for helps. */
void cli_begin(int argc, char **argv);

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* one line */
};
int cmd_weld(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_unweld(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_diff(int argc, char **argv);

/* Run the row of `table` (ends with a NULL name) that argv[0] names.  No such
 * row: one line with the closest name, and 2.  `what` is "command". */
int cli_dispatch(const struct command *table, const char *what, int argc,
		 char **argv);
/* The command's rows, for help texts. */
void cli_table(FILE *to, const struct command *table);

/* The next option, as getopt_long(); -1 after the last, '?' after an error has
 * been described in `e`.  Start with optind = 0. */
int cli_option(int argc, char **argv, const char *shorts,
	       const struct option *longs, struct err *e);
/* Options and operands of a command that has no more than these. */
struct cli {
	bool json, help;
	bool usdt;
	bool syscalls;
	bool folded;
	const char *counts; /* --counts; NULL when not given */
	const char *output; /* -o; NULL when not given */
	char **arg;         /* operands */
	int narg;
};
/* `options`: letters of j, o, U, S, F, C; help is always there. */
int cli_parse(int argc, char **argv, const char *options, struct cli *out,
	      struct err *e);

/* Report an error; returns the exit code.  One of the command line is JSON
 * where any word of it asks for that. */
int cli_fail(const struct err *e, bool json);
/* A command's help on standard output; under -j, {"help":"..."}. */
void cli_help(const char *text);
void cli_help_by(void (*print)(FILE *to));
/* Only the member "error", in an object that is open. */
void cli_error_json(struct json *j, const struct err *e);
/* `what` needs the kernel, which cannot be used because of `why`; returns the
 * exit code. */
int cli_skip(const char *what, const char *why, bool json);
/* The argument of -o, which has to be a name. */
int cli_output(const char *arg, const char **out, struct err *e);
/* What has been done, "OUT is written": it stays so when it cannot be reported.
 * OUT is whole then, and may stand in TARGET's place. */
void cli_done(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* main() calls it last: standard output that could not be written (a full
 * disk) is an error too, which says what is done.  Returns the exit code. */
int cli_flush(int code);

void cli_hex_id(const uint8_t id[16], char out[33]);

/* BPF_MAP_TYPE_* as bpftool calls it; "?" for an unknown number. */
const char *cli_map_type(uint32_t type);

#endif
