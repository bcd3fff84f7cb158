/* SPDX-License-Identifier: MIT */
/* usdt_attach - run a command while the kernel has usdt_count.bpf.o on a USDT
 * probe of a file, found and read by libbpf; say what it has counted.
 *
 *     usdt_attach OBJECT FILE PROVIDER NAME COMMAND...
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level, (void)fmt, (void)ap;
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	struct bpf_program *prog;
	int status = 1, bss, zero = 0;
	long seen[3];

	if (argc < 6)
		return 2;
	libbpf_set_print(quiet);
	obj = bpf_object__open(argv[1]);
	if (!obj || bpf_object__load(obj))
		return 77;
	prog = bpf_object__find_program_by_name(obj, "count");
	if (!bpf_program__attach_usdt(prog, -1, argv[2], argv[3], argv[4],
				      NULL)) {
		fprintf(stderr, "libbpf cannot attach to %s:%s\n", argv[3],
			argv[4]);
		return 1;
	}
	if (!fork()) {
		execv(argv[5], argv + 5);
		_exit(127);
	}
	wait(&status);
	bss = bpf_object__find_map_fd_by_name(obj, ".bss");
	if (bpf_map_lookup_elem(bss, &zero, seen))
		return 1;
	printf("hits %ld sum %ld depth %ld\n", seen[0], seen[1], seen[2]);
	return status != 0;
}
