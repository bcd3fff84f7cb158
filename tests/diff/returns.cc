// SPDX-License-Identifier: MIT
// returns.cc - exceptions through probed functions; see returns.h.
#include "returns.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

struct guard {
	int *n;
	~guard() { ++*n; }
};
static int cleaned;

// Through probed frames, of which some have cleanups.
extern "C" PROBED long throw_g(long x)
{
	HIDE(x);
	if (x & 1)
		throw std::runtime_error(std::to_string(x));
	return x;
}
extern "C" PROBED long throw_f(long x)
{
	guard g = { &cleaned };
	long r = throw_g(x);

	HIDE(r);
	return r + 1;
}
void run_throw()
{
	long sum = 0;

	cleaned = 0;
	for (long i = 0; i < 6; i++)
		try {
			sum += throw_f(i);
		} catch (const std::exception &e) {
			sum += 100 * std::stol(e.what());
		}
	say("throw", sum * 10 + cleaned);
}

// Thrown below a probed function and caught in it.
__attribute__((noinline)) static long within_thrower(long x)
{
	HIDE(x);
	if (x & 1)
		throw x;
	return x;
}
extern "C" PROBED long within_f(long x)
{
	try {
		return within_thrower(x);
	} catch (long y) {
		return y * 1000;
	}
}
void run_within()
{
	say("within", within_f(2) + within_f(3));
}

// Rethrown at every level, through functions that end in a tail call.
extern "C" PROBED long rethrow_down(long n)
{
	guard g = { &cleaned };

	if (!n)
		throw 1L;
	try {
		return rethrow_down(n - 1) + 1;
	} catch (long x) {
		if (x < 5)
			throw x + 1;
		return x + n;
	}
}
extern "C" PROBED long rethrow_tail(long n)
{
	return rethrow_down(n + 1);
}
void run_rethrow()
{
	cleaned = 0;
	say("rethrow", rethrow_tail(9) * 100 + cleaned);
}

// A cancelled thread runs the destructors of probed functions.
static sem_t ready;
extern "C" PROBED long unwound_g(long x)
{
	guard g = { &cleaned };

	sem_post(&ready);
	for (;;)
		pause();
	return x;
}
extern "C" PROBED long unwound_tail(long x) { return unwound_g(x + 1); }
extern "C" PROBED long unwound_f(long x)
{
	guard g = { &cleaned };

	return unwound_tail(x) + 1;
}
static void *begin_unwound(void *)
{
	return (void *)unwound_f(1);
}
void run_unwound()
{
	pthread_t id;
	void *r;

	cleaned = 0;
	sem_init(&ready, 0, 0);
	pthread_create(&id, nullptr, begin_unwound, nullptr);
	sem_wait(&ready);
	pthread_cancel(id);
	pthread_join(id, &r);
	say("unwound", (r == PTHREAD_CANCELED) * 10 + cleaned);
}

// Virtual tail calls, adjusting thunks, and a throw behind a tail call.
struct one {
	long a = 1;
	virtual long get(long x) { return x + a; }
	virtual ~one() = default;
};
struct two {
	long b = 2;
	virtual long give(long x) = 0;
	virtual ~two() = default;
};
struct both : one, two {
	long get(long x) override
	{
		HIDE(x);
		return x + a + b;
	}
	long give(long x) override
	{
		HIDE(x);
		if (x == 3)
			throw x;
		return x * b;
	}
};
extern "C" PROBED long method_call(one *p, long x) { return p->get(x); }
extern "C" PROBED long method_thunk(two *p, long x) { return p->give(x); }
void run_method()
{
	both v;
	long sum = method_call(&v, 1) + method_thunk(&v, 2);

	try {
		sum += method_thunk(&v, 3);
	} catch (long x) {
		sum += x * 100;
	}
	say("method", sum);
}
