/* SPDX-License-Identifier: MIT */
/* unweld.c - bpfweld unweld WELDED -o OUT: the original, byte for byte.
 *
 * Welding leaves the original's bytes where they were and only appends, so the
 * way back is: write the saved bytes back, cut off the rest.  A hash of the
 * original in the manifest decides whether the result is what it should be;
 * strip and its like move bytes about, and then it is not.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rewriter/cli/cli.h"

static const char usage[] =
	"usage: bpfweld unweld WELDED -o OUT [-j]\n"
	"Writes the file that WELDED was made from.  A welded file that was\n"
	"changed since (strip, patchelf) cannot be restored.\n";

static int restore(uint8_t *file, size_t size, const char *path,
		   const struct manifest *m, struct bytes *out, struct err *e)
{
	uint8_t hash[16] = { 0 };

	*out = (struct bytes){ file, m->original_size };
	if (m->original_size <= size) {
		for (size_t i = 0; i < m->nsaved; i++)
			memcpy(file + m->saved[i].off, m->saved[i].bytes.p,
			       m->saved[i].bytes.n);
		content_hash(*out, hash);
	}
	if (m->original_size > size ||
	    memcmp(hash, m->original_hash, sizeof(hash)) != 0)
		return fail(e, path, NOWHERE,
			    "was changed after welding "
			    "(strip?): cannot be restored");
	return 0;
}

static int unweld(struct arena *a, const char *path, const char *to,
		  uint64_t *size, struct err *e)
{
	struct bytes file, original;
	struct manifest m;
	struct stat st;
	mode_t mode;

	if (manifest_read(a, path, &m, &file, e))
		return -1;
	if (stat(path, &st) < 0)
		return fail(e, path, NOWHERE, "%s", strerror(errno));
	/* The copy is the arena's, so it may be written to. */
	if (restore((uint8_t *)file.p, file.n, path, &m, &original, e))
		return -1;
	*size = original.n;
	/* Nobody gets a setuid file by restoring somebody else's. */
	mode = st.st_mode & (st.st_uid == geteuid() ? 07777 : 0777);
	return emit_file(to, original, mode, path, e);
}

static void report(const struct cli *cli, uint64_t size)
{
	struct json j = json_to(stdout, false);

	cli_done("%s is written", cli->output);
	if (!cli->json)
		return;
	json_object(&j);
	json_str_at(&j, "output", cli->output);
	json_u64_at(&j, "bytes", size);
	json_end(&j);
	json_done(&j);
}

int cmd_unweld(int argc, char **argv)
{
	struct arena a = { 0 };
	struct cli cli;
	struct err e;
	uint64_t size = 0;
	int ret = 0;

	if (cli_parse(argc, argv, "jo", &cli, &e))
		return cli_fail(&e, cli.json);
	if (cli.help) {
		cli_help(usage);
		return 0;
	}
	if (cli.narg != 1 || !cli.output)
		ret = misuse(&e, "unweld wants one welded file and -o OUT");
	else
		ret = unweld(&a, cli.arg[0], cli.output, &size, &e);
	if (ret)
		ret = cli_fail(&e, cli.json);
	else
		report(&cli, size);
	arena_free(&a);
	return ret;
}
