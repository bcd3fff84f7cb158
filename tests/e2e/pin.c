/* SPDX-License-Identifier: MIT */
/* pin - a program whose work is counted in maps that others share.
 *
 *   pin add THREADS EACH    work() so often in each thread
 *   pin fork EACH           a child works as much
 *   pin ask N               ask(.., N)
 *   pin tell FROM COUNT     event(FROM, 0), event(FROM, 1), ...
 *   pin load LIB THREADS EACH   work() of a library that is loaded now: all
 *                           threads come to its first probe at once
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Thread_local volatile long seen;
#ifdef WORK
__attribute__((noinline)) void work(long thread, long n)
{
	seen = thread + n;
}
#else
__attribute__((noinline)) void work(long thread, long n)
{
	seen = n ^ thread;
}
__attribute__((noinline)) void ask(long what, long n)
{
	seen = what - n;
}
__attribute__((noinline)) void event(long from, long n)
{
	seen = from * n;
}

static void (*does)(long, long) = work;
static pthread_barrier_t all;
static long each;

static void *run(void *thread)
{
	pthread_barrier_wait(&all);
	for (long i = 0; i < each; i++)
		does((long)thread, i);
	return NULL;
}

static void threads(long n)
{
	pthread_t v[64];

	pthread_barrier_init(&all, NULL, n);
	for (long i = 0; i < n; i++)
		pthread_create(&v[i], NULL, run, (void *)i);
	for (long i = 0; i < n; i++)
		pthread_join(v[i], NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long a = argc > 2 ? atol(argv[2]) : 0, b = argc > 3 ? atol(argv[3]) : 0;

	each = b;
	if (!strcmp(what, "add")) {
		threads(a);
	} else if (!strcmp(what, "fork")) {
		pid_t child = fork();

		for (long i = 0; i < a; i++)
			work(0, i);
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	} else if (!strcmp(what, "ask")) {
		ask(1, a);
	} else if (!strcmp(what, "tell")) {
		for (long i = 0; i < b; i++)
			event(a, i);
	} else if (!strcmp(what, "load")) {
		void *lib = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);

		does = lib ? (void (*)(long, long))dlsym(lib, "work") : NULL;
		if (!does)
			return 1;
		each = atol(argv[4]);
		threads(b);
	}
	return 0;
}
#endif
