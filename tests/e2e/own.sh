#!/usr/bin/env bash
# The region's owner counts its main thread's hits without a lock: nobody else
# does, and no hit is lost.
. "$(dirname "$0")/../common.sh"

cat > $t/count.c <<'EOC'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) int work(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 3 + 1;
}

static void *many(void *n)
{
	for (long i = 0; i < (long)n; i++)
		work((int)i);
	return NULL;
}

/* count HITS [here] [thread] [fork] [exec PROGRAM ARG...]: HITS in each of the
 * places named; "wait" ends with end of input, "say" says that it is there. */
int main(int argc, char **argv)
{
	void *n = (void *)atol(argv[1]);
	pthread_t thread[8];
	int threads = 0;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "thread"))
			pthread_create(&thread[threads++], NULL, many, n);
		else if (!strcmp(argv[i], "fork") && !fork())
			return many(n) != NULL;
		else if (!strcmp(argv[i], "here"))
			many(n);
		else if (!strcmp(argv[i], "say"))
			puts("here"), fflush(stdout);
		else if (!strcmp(argv[i], "wait"))
			while (getchar() != EOF)
				;
		else if (!strcmp(argv[i], "exec"))
			execv(argv[i + 1], argv + i + 1);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	while (wait(NULL) > 0)
		;
	return 0;
}
EOC
$CC -O2 -pthread -o $t/count $t/count.c
$W weld $t/count $O/count.bpf.o -o $t/w > $t/log
R=$BPFWELD_REGION

word() { od -An -tu8 -j$1 -N8 $R | tr -d ' '; }
# counted TEXT HITS OWN: hits with a lock, hits of the owner's main thread; the
# tool and the map know of all.
counted() {
	local at all=$(($2 + $3)) hits own
	at=$(word 64)
	hits=$(word $at) own=$(word $((at + 16)))
	[ "$hits $own" = "$2 $3" ] || die "$1: $hits and $own, not $2 and $3"
	$W info $t/w | has -E "work +count +[a-z]+ +$all +0" ||
		die "$1: $($W info $t/w)"
	$W map dump $t/w calls | has "\"value\": $all\$" ||
		die "$1: $($W map dump $t/w calls)"
}

$t/w 1000 here; counted "main thread" 0 1000
$t/w 1000 here; counted "the next process" 0 2000
$t/w 500 thread thread; counted "threads" 1000 2000
$t/w 500 fork; counted "a child" 1500 2000
BPFWELD_REGION=private $t/w 500 here; counted "private" 1500 2000
$t/w 100 here exec $t/w 100 here; counted "after exec" 1500 2200

# Everybody at once, two processes.
$t/w 200000 thread fork thread fork here &
$t/w 200000 thread fork thread fork here
wait
at=$(word 64)
own=$(word $((at + 16)))
case $own in
202200 | 402200) counted "all at once" $((2003700 - own)) $own ;;
*) die "all at once: the owners counted $own" ;;
esac

# While one lives, there is no second owner; when it is killed, there is.
rm $R
mkfifo $t/in $t/out
$t/w 10 here say wait < $t/in > $t/out &
owner=$!
exec 3> $t/in
read -r < $t/out
counted "the owner" 0 10
$t/w 10 here; counted "beside the owner" 10 10
kill -9 $owner
wait $owner 2> /dev/null || true
exec 3>&-
$t/w 10 here; counted "after the owner's death" 10 20

# In another pid namespace its pid says nothing.
if unshare -pf --mount-proc true 2> $t/log; then
	unshare -pf --mount-proc $t/w 10 here
	counted "another pid namespace" 20 20
fi
