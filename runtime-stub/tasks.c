/* SPDX-License-Identifier: MIT */
/* tasks.c - bpf_get_current_task, and what can be read of a task (task.h).
 *
 * A pointer tells most by itself: the number, and whether it is a leader's. The
 * rest is asked for when it is read, of the calls about ourselves where the
 * task is ours, else of /proc.  A field that cannot be had now – the task has
 * ended, there is no /proc – is a fault: -EFAULT, and a load gives 0, and so does
 * what is loaded from that in turn.
 *
 *   pid             no call          real_parent     getppid, or stat
 *   tgid            no call; of a    group_leader    as tgid
 *                   thread, getpid   start_time,     stat: 10 ms, and it goes
 * on comm            prctl, or comm   start_boottime  while the machine sleeps
 *
 * Parents are processes: their leaders.
 */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

#include "runtime-stub/proc.h"
#include "runtime-stub/stub.h"
#include "runtime-stub/sys.h"
#include "runtime-stub/task.h"

enum {
	TICK_NS = 10000000, /* USER_HZ is 100 */
	STAT = 240,         /* as much as its first 22 fields take */
	STAT_PPID = 4,
	STAT_START = 22,
};

struct id {
	uint32_t tid;
	bool leads;
};

static uint64_t pointer(uint32_t tid, bool leads)
{
	return TASK_BASE | (uint64_t)tid << TASK_SHIFT |
	       (leads ? TASK_LEADS : 0);
}

static struct id id_of(uint64_t addr)
{
	addr ^= TASK_BASE;
	return (struct id){ (uint32_t)(addr >> TASK_SHIFT), addr & TASK_LEADS };
}

static bool is_current(const struct id *id)
{
	return id->tid == (uint32_t)sys0(__NR_gettid);
}

/* --- /proc ------------------------------------------------------------------
 */

/* A number of /proc/TID/task/TID/stat, counted as in proc(5); /proc/TID/stat would
 * ask all threads first.  The second field is the name, in parentheses, and may
 * have some itself. */
static bool stat_number(uint32_t tid, int field, uint64_t *v)
{
	char buf[STAT], name[32], *end = proc_text(name, "/task/");
	uint32_t n, at;

	*proc_text(proc_number(end, tid), "/stat") = 0;
	at = n = proc_read(tid, name, buf, sizeof(buf));

	while (at && buf[at - 1] != ')')
		at--;
	if (!at)
		return false;
	for (int f = 2; at < n && f < field; at++)
		f += buf[at] == ' ';
	*v = 0;
	for (; at < n && buf[at] >= '0' && buf[at] <= '9'; at++)
		*v = *v * 10 + (uint64_t)(buf[at] - '0');
	return at < n; /* else it was cut off */
}

/* --- fields -----------------------------------------------------------------
 */

static bool get_pid(const struct id *id, struct task *t)
{
	t->pid = id->tid;
	return true;
}

static bool get_tgid(const struct id *id, struct task *t)
{
	t->tgid = id->leads ? id->tid : (uint32_t)sys0(__NR_getpid);
	return id->leads || is_current(id);
}

static bool get_comm(const struct id *id, struct task *t)
{
	uint32_t n;

	if (is_current(id))
		return sys6(__NR_prctl, PR_GET_NAME, (long)t->comm, 0, 0, 0,
			    0) == 0;
	n = proc_read(id->tid, "/comm", t->comm, sizeof(t->comm));
	if (n)
		t->comm[n - 1] = 0; /* a newline */
	return n;
}

static bool get_real_parent(const struct id *id, struct task *t)
{
	uint64_t parent;

	if (id->tid == (uint32_t)sys0(__NR_getpid) || is_current(id))
		parent = (uint32_t)sys0(__NR_getppid);
	else if (!stat_number(id->tid, STAT_PPID, &parent))
		return false;
	t->real_parent = pointer((uint32_t)parent, true);
	return true;
}

static bool get_group_leader(const struct id *id, struct task *t)
{
	if (!get_tgid(id, t))
		return false;
	t->group_leader = pointer(t->tgid, true);
	return true;
}

static bool get_start_boottime(const struct id *id, struct task *t)
{
	if (!stat_number(id->tid, STAT_START, &t->start_boottime))
		return false;
	t->start_boottime *= TICK_NS;
	return true;
}

/* The two differ by what the machine slept until the task began, which nobody
 * tells. */
static bool get_start_time(const struct id *id, struct task *t)
{
	if (!get_start_boottime(id, t))
		return false;
	t->start_time = t->start_boottime;
	return true;
}

/* --- reading ----------------------------------------------------------------
 */

struct place {
	uint32_t at, room; /* in struct task; to the end of the field */
	bool (*get)(const struct id *id, struct task *t);
};

static bool find(uint64_t addr, struct place *p)
{
	uint32_t at = ((uint32_t)addr & (TASK_LEADS - 1)) - TASK_FIELDS;
	uint32_t in;

#define FIELD(name, ...)                                                       \
	in = at - (uint32_t)offsetof(struct task, name);                       \
	if (in < sizeof(((struct task *)0)->name)) {                           \
		*p = (struct place){                                           \
			at, (uint32_t)sizeof(((struct task *)0)->name) - in,   \
			get_##name                                             \
		};                                                             \
		return true;                                                   \
	}
#include "runtime-stub/task.def"
	return false;
}

bool task_read(void *to, uint32_t n, uint64_t addr)
{
	const struct id id = id_of(addr);
	struct task t = { 0 };
	struct place p;

	if (!n)
		return true;
	if (!find(addr, &p) || n > p.room || !p.get(&id, &t))
		return false;
	mem_copy(to, (const char *)&t + p.at, n);
	return true;
}

/* Behind the field a string would go on in the next one: it is cut there. */
uint32_t task_room(uint64_t addr)
{
	struct place p;

	return find(addr, &p) ? p.room : 0;
}

uint64_t task_load(uint64_t addr, uint32_t n)
{
	uint64_t v = 0;

	return task_is(addr) && task_read(&v, n, addr) ? v : 0;
}

static uint64_t current(void)
{
	uint32_t tid = (uint32_t)sys0(__NR_gettid);

	return pointer(tid, tid == (uint32_t)sys0(__NR_getpid));
}

DEFINE_HELPER(get_current_task)
{
	return current();
}

DEFINE_HELPER(get_current_task_btf)
{
	return current();
}
