/* SPDX-License-Identifier: MIT */
/* kernel.c - the running kernel as one more engine.
 *
 * A program is loaded as a raw tracepoint's, which BPF_PROG_TEST_RUN runs at
 * once and in this process, on 12 words of ctx.  Its result would be cut to 32
 * bits, so what stands for exit stores r0 in a map of its own:
 *
 *     exit  ->  goto end       end:  r1 = &result;  *(u64 *)r1 = r0;  exit
 *
 * Only the first function's exits are replaced.  The hosted maps exist in the
 * kernel too; their content goes there before a run and comes back after it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "engine.h"
#include "rewriter/code/known.h"
#include "runtime-stub/abi.h"

enum { MAPS = 8, END = 5 };

static int map_fd[MAPS], result_fd, nmap;

static int make_map(const char *name, uint32_t value_size, uint32_t entries)
{
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, value_size, entries,
			      NULL);
}

int kernel_open(void)
{
	const struct region *r = hosted_region();

	nmap = (int)r->nmap;
	result_fd = make_map("result", 8, 1);
	if (result_fd < 0) {
		printf("skipped: no BPF maps here: %s\n", strerror(errno));
		return -1;
	}
	for (int i = 0; i < nmap; i++) {
		map_fd[i] = make_map("random", r->map[i].value_size,
				     r->map[i].max_entries);
		if (map_fd[i] < 0)
			return -1;
	}
	return 0;
}

/* All values, to the kernel or from it. */
static int copy_maps(bool to)
{
	const struct region *r = hosted_region();

	for (int i = 0; i < nmap; i++)
		for (uint32_t k = 0; k < r->map[i].max_entries; k++) {
			uint8_t *v = weld_region + r->map[i].data +
				     (uint64_t)k * r->map[i].stride;
			uint32_t frozen = r->map[i].frozen;
			int bad;

			if (frozen && !to)
				continue;
			if (frozen)
				v = (uint8_t *)&weld_info + frozen;
			bad = to ? bpf_map_update_elem(map_fd[i], &k, v, 0)
				 : bpf_map_lookup_elem(map_fd[i], &k, v);

			if (bad)
				return -1;
		}
	return 0;
}

static uint32_t end_of_first(const struct bpf_insn *insn, uint32_t n)
{
	uint32_t end = n;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t to = i + 1 + (uint32_t)insn[i].imm;

		if (insn[i].code == (BPF_JMP | BPF_CALL) &&
		    insn[i].src_reg == BPF_PSEUDO_CALL && to < end)
			end = to;
		i += insn_is_lddw(&insn[i]);
	}
	return end;
}

/* Maps' numbers become descriptors, calls step over what is put in. */
static void translate(struct bpf_insn *i, uint32_t end, uint32_t at)
{
	if (insn_is_lddw(i) && i->src_reg)
		i->imm = map_fd[i->imm];
	if (i->code == (BPF_JMP | BPF_CALL) && i->src_reg && at < end)
		i->imm += END;
	if (i->code == (BPF_JMP | BPF_EXIT) && at < end)
		*i = (struct bpf_insn){ .code = BPF_JMP | BPF_JA,
					.off = (int16_t)(end - at - 1) };
}

static struct bpf_insn *for_kernel(const struct bpf_insn *insn, uint32_t n)
{
	struct bpf_insn *out = calloc(n + END, sizeof(*out));
	uint32_t end = end_of_first(insn, n);
	const struct bpf_insn tail[END] = {
		{ .code = BPF_LD | BPF_IMM | BPF_DW,
		  .dst_reg = 1,
		  .src_reg = BPF_PSEUDO_MAP_VALUE,
		  .imm = result_fd },
		{ 0 },
		{ .code = BPF_STX | BPF_MEM | BPF_DW,
		  .dst_reg = 1,
		  .src_reg = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	memcpy(out, insn, end * sizeof(*out));
	memcpy(out + end, tail, sizeof(tail));
	memcpy(out + end + END, insn + end, (n - end) * sizeof(*out));
	for (uint32_t i = 0; i < n + END; i++) {
		if (i == end)
			i += END;
		if (i == n + END) /* nothing stands behind the tail */
			break;
		translate(&out[i], end, i);
		i += insn_is_lddw(&out[i]);
	}
	return out;
}

static int load(const struct bpf_insn *insn, uint32_t n, char *log, size_t size)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log,
		    .log_size = (uint32_t)size, .log_level = log ? 1 : 0);
	struct bpf_insn *v = for_kernel(insn, n);
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "random", "GPL", v,
			       n + END, &opts);

	free(v);
	return fd;
}

/* What the verifier says, for whoever asks: KERNEL_WHY=1. */
static void why(const struct bpf_insn *insn, uint32_t n)
{
	static char log[1 << 20];

	if (!getenv("KERNEL_WHY") || load(insn, n, log, sizeof(log)) >= 0)
		return;
	fprintf(stderr, "%s\n",
		log + (strlen(log) > 500 ? strlen(log) - 500 : 0));
}

int kernel_run(const struct bpf_insn *insn, uint32_t n, const uint8_t *mem,
	       uint64_t *result)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = mem,
		    .ctx_size_in = KERNEL_CTX);
	int fd = load(insn, n, NULL, 0), bad;
	uint32_t zero = 0;

	if (fd < 0) {
		why(insn, n);
		return 1;
	}
	bad = copy_maps(true) || bpf_prog_test_run_opts(fd, &opts) ||
	      copy_maps(false) ||
	      bpf_map_lookup_elem(result_fd, &zero, result);
	if (bad)
		fprintf(stderr, "the kernel did not run it: %s\n",
			strerror(errno));
	close(fd);
	return bad ? -1 : 0;
}
