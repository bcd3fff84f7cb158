#!/usr/bin/env bash
# musl's libc.so has neither frame descriptions nor local symbols: what its
# functions call is found.  Every system call in it is probed, each function
# entry and return as well; a program that uses much of it notices nothing.
. "$(dirname "$0")/../common.sh"
need musl-gcc
need objdump
cat > $t/p.c <<'X'
#define _GNU_SOURCE
#include <pthread.h>
#include <regex.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
extern char **environ;
static void *work(void *arg)
{
	long n = 0;
	for (size_t i = 1; i < 500; i++) {
		void *p = malloc(i * 7);
		n += p != NULL;
		free(p);
	}
	return (void *)n;
}
static int by_value(const void *x, const void *y)
{
	return *(const int *)x - *(const int *)y;
}
int main(void)
{
	posix_spawn_file_actions_t fa;
	char *args[] = { "sh", "-c", "pwd; exit 3", NULL }, line[99];
	int v[] = { 5, 3, 9, 1 }, status = 0;
	pthread_t t[3];
	regex_t re;
	pid_t pid;
	time_t zero = 0;

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (int i = 0; i < 3; i++) {
		void *n;
		pthread_join(t[i], &n);
		printf("%ld\n", (long)n);
	}
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 7, "/dev/null", 0, 0);
	posix_spawn_file_actions_addchdir_np(&fa, "/");
	fflush(stdout);
	printf("%d\n", posix_spawn(&pid, "/bin/sh", &fa, NULL, args, environ));
	waitpid(pid, &status, 0);
	printf("%d\n", WEXITSTATUS(status));
	printf("%d\n", setpriority(PRIO_PROCESS, 0, 0));
	printf("%d\n", setgid(getgid()));
	regcomp(&re, "a(b+)c", REG_EXTENDED);
	printf("%d\n", regexec(&re, "xabbbc", 0, NULL, 0));
	qsort(v, 4, sizeof(*v), by_value);
	strftime(line, sizeof(line), "%c", gmtime(&zero));
	printf("%d %d %s %.17g\n", v[0], v[3], line, strtod("1.5e-7", NULL));
	fflush(stdout);
	if (fork() == 0)
		_exit(system("echo child"));
	wait(&status);
	return status;
}
X
musl-gcc -w -O2 -o $t/p $t/p.c
libc=$(readelf -lW $t/p | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
objdump -d --no-show-raw-insn -j .text "$libc" |
	sed -n 's/^ *\([0-9a-f]*\):\tsyscall.*/\1/p' > $t/calls
[ "$(wc -l < $t/calls)" -gt 400 ] || die "objdump finds no system calls"
options=()
while read -r at; do
	options+=(-p "entry=uprobe:0x$at")
done < $t/calls
$W weld "$libc" $O/entries.bpf.o -p 'entry=uprobe:*' -p 'entry=uretprobe:*' \
	"${options[@]}" -v -o $t/libc.so 2> $t/log || die "$(tail -3 $t/log)"
while read -r at; do
	not grep -q "0x$at: " $t/log
done < $t/calls
"$libc" $t/p > $t/want
$t/libc.so $t/p > $t/got || die "exit $?"
cmp $t/want $t/got
n=$($W map dump $t/libc.so hits | grep -c '"value"')
[ "$n" -gt 200 ] || die "only $n addresses were reached"
