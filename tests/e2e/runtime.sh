#!/usr/bin/env bash
# Welded programs where the stub cannot have what it wants: wherever they are,
# they do what the original does, and where there is a region, nothing is lost.
. "$(dirname "$0")/common-run.sh"

cat > $t/main.c <<'X'
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int work(int);

/* All of these calls fail, or kill. */
static void jail(const char *how)
{
	static const int nr[] = { SYS_openat, SYS_open, SYS_mkdirat, SYS_mmap,
		SYS_fallocate, SYS_linkat, SYS_unlinkat, SYS_geteuid, SYS_read,
		SYS_pread64, SYS_mkdir, SYS_fchmod, SYS_fchmodat, SYS_fstat,
		SYS_newfstatat, SYS_madvise, SYS_kill, SYS_prctl };
	enum { N = sizeof(nr) / sizeof(*nr) };
	struct sock_filter f[2 * N + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) };
	unsigned no = strcmp(how, "kill") ? SECCOMP_RET_ERRNO | EPERM
					  : SECCOMP_RET_KILL_PROCESS;
	struct sock_fprog prog = { 2 * N + 2, f };

	for (int i = 0; i < N; i++) {
		f[2 * i + 1] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, nr[i], 0, 1);
		f[2 * i + 2] = (struct sock_filter)BPF_STMT(BPF_RET, no);
	}
	f[2 * N + 1] = (struct sock_filter)BPF_STMT(BPF_RET,
						    SECCOMP_RET_ALLOW);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		perror("seccomp");
}

/* Flags as they are behind work(), entered with the bits set. */
static long with_flags(long bits)
{
	long before, after;

	__asm__ volatile("sub $128, %%rsp\n"
		"pushfq\npop %0\npush %0\nor %2, (%%rsp)\npopfq\n"
		"mov $7, %%edi\ncall *%3\n"
		"pushfq\npop %1\npush %0\npopfq\nadd $128, %%rsp"
		: "=&r"(before), "=&r"(after) : "r"(bits), "r"(work)
		: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
		  "cc", "memory");
	return (after ^ before) & 0x244700;
}

static int run(int n)
{
	int sum = 0;

	for (int i = 0; i < n; i++)
		sum += work(i);
	return sum;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *arg = argc > 2 ? argv[2] : "";

	if (!strcmp(what, "jail") || !strcmp(what, "none")) {
		if (!strcmp(what, "jail"))
			jail(arg);
		char text[32];
		int n = sprintf(text, "%d\n", run(100));
		return write(1, text, n) != n;
	}
	if (!strcmp(what, "under")) { /* a jail, then the rest of argv */
		jail(arg);
		execv(argv[3], argv + 3);
		return 126;
	}
	if (!strcmp(what, "flags")) {
		printf("%lx\n", with_flags(strtol(arg, NULL, 0)));
		return 0;
	}
	if (!strcmp(what, "fds")) { /* which are open, and which are next */
		int sum = run(10);
		int fd = open(arg, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dprintf(fd, "%d, file %d", sum, fd);
		for (int i = 0; i < 64; i++)
			if (i != fd && fcntl(i, F_GETFD) >= 0)
				dprintf(fd, ", open %d", i);
		return 0;
	}
	if (!strcmp(what, "memfd")) { /* run argv[2] without a file name */
		static char buf[1 << 16];
		int to = memfd_create("x", MFD_CLOEXEC);
		int from = open(arg, O_RDONLY);
		ssize_t n;
		while ((n = read(from, buf, sizeof(buf))) > 0)
			if (write(to, buf, n) != n)
				return 1;
		fexecve(to, argv + 2, environ);
		return 126;
	}
#ifndef STATIC
	if (!strcmp(what, "dlopen")) { /* jailed before the library comes */
		int (*f)(int), sum = 0;
		void *lib = dlopen(arg, RTLD_LAZY | RTLD_LOCAL);
		f = lib ? dlsym(lib, "work") : NULL;
		if (argc > 3)
			jail(argv[3]);
		for (int i = 0; f && i < 100; i++)
			sum += f(i);
		char text[32];
		int n = sprintf(text, "%d\n", sum);
		return write(1, text, n) != n;
	}
#endif
	printf("%d %o\n", run(atoi(what)), umask(0));
	return 0;
}
X
program main $t/main.c
self=$t/pie/main

# Where the region should be.
for kind in $kinds; do
	same $kind main 100; counted $kind main 100
	for where in off private /no/such/dir/x $t / /dev/null /proc/self/mem \
		$(printf 'x%.0s' {1..5000}); do
		export BPFWELD_REGION=$where
		same $kind main 100
	done
	export BPFWELD_REGION=$t/region
	not_counted "$kind elsewhere"
	UNDER="env -i" same $kind main 3
	UNDER="env -i BPFWELD_REGIO=x BPFWELD_REGION_=y XBPFWELD_REGION=z \
		BPFWELD_REGION=$t/region" same $kind main 30
	counted $kind main 30 "names almost the same"
	UNDER="setarch -R" same $kind main 10
	UNDER="setarch --addr-compat-layout" same $kind main 10
	counted $kind main 20 "other address space layouts"
done
for kind in $kinds; do # what `env -i` has made
	forget_default $(weld_id $(welded $kind main))
done

# Descriptors: none is left open, and none is needed.
for kind in $kinds; do
	for close in "" "0<&-" "1>&-" "2>&-" "0<&- 1>&- 2>&-"; do
		eval "$t/$kind/main fds $t/a $close"
		eval "$(probed $kind main) fds $t/b $close"
		cmp $t/a $t/b || die "$kind: $(cat $t/b), not $(cat $t/a)"
	done
	counted $kind main 50 "closed descriptors"
done

# Limits.  Too little for a region: there is none.
printf '#!/bin/sh\nulimit $1 $2; shift 2; exec "$@"\n' > $t/limit
chmod 755 $t/limit
limited() { # KIND ULIMIT...
	UNDER="$t/limit $2 $3" same $1 main 100
}
limited static -n 0; not_counted "no descriptors"
for kind in $kinds; do
	limited $kind -n 4; not_counted "$kind: one descriptor"
	limited $kind -f 0; not_counted "$kind: no files"
	limited $kind -f 1; not_counted "$kind: small files"
	limited $kind -v 20000; limited $kind -s 64
	limited $kind -d 4000; limited $kind -l 0
	counted $kind main 400 limits
done

# A region that is not one.
for kind in $kinds; do
	same $kind main 100
	cp $BPFWELD_REGION $t/good
	for harm in "truncate -s 0" "truncate -s 100" "truncate -s 4096" \
		"truncate -s +1" "chmod 000" magic; do
		cp $t/good $BPFWELD_REGION
		if [ "$harm" = magic ]; then
			echo X | dd of=$BPFWELD_REGION conv=notrunc status=none
		else
			$harm $BPFWELD_REGION
		fi
		sum=$(cksum < $BPFWELD_REGION)
		if [ "$harm" != "chmod 000" ] || [ "$(id -u)" != 0 ]; then
			same $kind main 100
			[ "$(cksum < $BPFWELD_REGION)" = "$sum" ] ||
				die "$kind: wrote to it after $harm"
		fi
		rm -f $BPFWELD_REGION
	done
	ln -s $t/good $BPFWELD_REGION; same $kind main 100
	rm $BPFWELD_REGION; mkdir $BPFWELD_REGION; same $kind main 100
	rmdir $BPFWELD_REGION; mkfifo $BPFWELD_REGION; same $kind main 100
	rm $BPFWELD_REGION
	# Of another weld.
	cp $t/good $BPFWELD_REGION
	for other in $kinds; do
		[ $other = $kind ] || same $other main 100
	done
	exact $(welded $kind main) 100 "the other welds' hits"
	rm $BPFWELD_REGION
done

# Sandboxes.  The target's own, whose first hit comes later: armed by then.
# One that it was started in: none, but nothing else is wrong.
for how in eperm kill; do
	for kind in $kinds; do
		same $kind main jail $how
		counted $kind main 100 "jail $how"
	done
done
same static main none; counted static main 100
UNDER="$self under eperm" same static main none
rm -f $BPFWELD_REGION # of $self, which is no welded program
BPFWELD_REGION=private UNDER="$self under kill" same static main none
not_counted "in a jail"

# A library that comes into it: with DT_INIT, and without, where its first hit
# arms it.
$CC -O2 -shared -fPIC -nostartfiles -o $t/bare.so $t/work.c
welds_busy $t/bare.so $t/bare.weld.so
cp $t/lib/libwork.so $t/init.so; cp $t/lib.weld/libwork.so $t/init.weld.so
for lib in init bare; do
	want=$($self dlopen $t/$lib.so)
	for how in "" eperm; do
		[ "$($self dlopen $t/$lib.weld.so $how)" = "$want" ] ||
			die "$lib.so in a jail ($how)"
	done
	[ $lib = bare ] || $self dlopen $t/$lib.weld.so kill >/dev/null ||
		die "$lib.so in a deadly jail"
	exact $t/$lib.weld.so $([ $lib = bare ] && echo 100 || echo 300) $lib.so
	rm $BPFWELD_REGION
done

# Without a file name; through the dynamic loader; before main.
for kind in pie static; do
	UNDER="$self memfd" same $kind main 10; counted $kind main 10 memfd
done
UNDER=$(readelf -lW $self | sed -n 's/.*interpreter: \(.*\)\]/\1/p') \
	same pie main 10
counted pie main 10 "the loader as the program"

cat > $t/early.c <<'X'
#include <stdio.h>
static int early;
__attribute__((noinline)) int work(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x * 3 + 1;
}
static int chosen(void) { return 5; }
static int (*resolve(void))(void) { early = work(1); return chosen; }
int choice(void) __attribute__((ifunc("resolve")));
__attribute__((constructor(101))) static void first(void) { work(2); }
__attribute__((destructor)) static void last(void) { work(3); }
int early_sum(void) { return early + choice(); }
X
cat > $t/early_main.c <<'X'
#include <stdio.h>
int early_sum(void), work(int);
__attribute__((constructor)) static void start(void) { work(4); }
int main(void) { return printf("%d %d\n", early_sum(), work(5)) < 0; }
X
program early $t/early_main.c $t/early.c
for kind in $kinds; do
	same $kind early; counted $kind early 5 "before main"
	BPFWELD_REGION=off same $kind early
done

# Flags that the ABI has nobody change: DF, NT, AC, ID; at the first hit and at
# a later one.
program main $t/main.c # a libwork.so that is not early's
for kind in $kinds; do
	for bits in 0x400 0x4400 0x40000 0x204400; do
		same $kind main flags $bits
		same $kind main flags $bits
		counted $kind main 2 "flags $bits"
	done
	export BPFWELD_REGION=private; same $kind main flags 0x400
	export BPFWELD_REGION=$t/region
done

# --- As root, in a mount namespace: /dev/shm, other users, other roots.

[ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null &&
	command -v setpriv >/dev/null ||
	skip "the part that needs root; the rest passed"
for kind in pie static lib; do
	same $kind main 1 > /dev/null
	rm -f $BPFWELD_REGION
done
cp $t/static/main $t/suid; chmod 4755 $t/suid
welds_busy $t/suid $t/suid.weld --allow-setuid
[ "$(stat -c %a $t/suid.weld)" = 4755 ] || die "lost the setuid bit"
export -f same die counts exact probed welded weld_id
export t W kinds self
unset BPFWELD_REGION
unshare -m bash -euo pipefail <<'EOF2'
mount -t tmpfs -o size=2m,mode=1777 shm /dev/shm
id() { weld_id $(welded $1 main); }
nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"

# everybody WHAT: root and nobody run as they should, and no region is made
everybody() {
	for kind in $kinds; do
		same $kind main 100
		UNDER=$nobody same $kind main 100
	done
	[ -z "$(find /dev/shm -name "$(id pie)" -size +0)" ] ||
		die "$1: made a region"
}

# As it should be: a region for each user, even with an umask that leaves
# nobody any rights.
umask 0777
for kind in $kinds; do
	same $kind main 100; exact $(welded $kind main) 100 root
	UNDER=$nobody same $kind main 30
	UNDER=$nobody same $kind main 40
	cp /dev/shm/bpfweld-65534/$(id $kind) /tmp/nobody.$$
	BPFWELD_REGION=/tmp/nobody.$$ exact $(welded $kind main) 70 nobody
	rm /tmp/nobody.$$
done
umask 022
[ "$(stat -c %a,%u /dev/shm/bpfweld-65534)" = 700,65534 ] || die "its modes"

# Made before by somebody else: not used, not written to, not followed.
for uid in 0 65534; do
	d=/dev/shm/bpfweld-$uid other=$((65534 - uid))
	under=; [ $uid = 0 ] || under=$nobody
	for kind in pie lib; do
		f=$d/$(id $kind)
		UNDER=$under same $kind main 10 # a good one to begin with
		chown $other $f; sum=$(cksum < $f)
		UNDER=$under same $kind main 10
		[ "$(cksum < $f)" = "$sum" ] || die "wrote to $other's file"
		rm $f; echo secret > /dev/shm/victim; ln -s ../victim $f
		UNDER=$under same $kind main 10
		[ "$(cat /dev/shm/victim)" = secret ] || die "followed a link"
		rm $f; mkfifo $f; UNDER=$under same $kind main 10; rm -rf $d
		for mode in 777 750 700; do
			mkdir -m $mode $d; chown $other $d
			UNDER=$under same $kind main 10
			[ -z "$(ls -A $d)" ] || die "used $other's directory"
			rmdir $d
		done
		mkdir -m 777 $d; chown $uid $d
		UNDER=$under same $kind main 10
		[ -z "$(ls -A $d)" ] || die "used an open directory"
		rmdir $d; : > $d; UNDER=$under same $kind main 10; rm $d
		mkdir -m 700 /dev/shm/x; chown $uid /dev/shm/x; ln -s x $d
		UNDER=$under same $kind main 10
		[ -z "$(ls -A /dev/shm/x)" ] || die "followed a link"
		rm $d; rmdir /dev/shm/x; rm /dev/shm/victim
	done
done

# Setuid: the caller's environment decides nothing.
UNDER=$nobody $t/suid.weld 100 > /tmp/out.$$; rm /tmp/out.$$
rm -rf /dev/shm/bpfweld-*
for where in $t/mine off private; do
	(export BPFWELD_REGION=$where; $nobody $t/suid.weld 100 >/dev/null)
done
exact $t/suid.weld 300 "setuid"
[ ! -e $t/mine ] || die "a setuid program believed BPFWELD_REGION"
rm -rf /dev/shm/bpfweld-*

# Full, read-only, not there.
umount /dev/shm
mount -t tmpfs -o size=8k,mode=1777 shm /dev/shm; everybody full
[ -z "$(find /dev/shm -type f)" ] || die "left in a full /dev/shm"
mount -o remount,ro /dev/shm; everybody read-only; umount /dev/shm
mount -t tmpfs -o nr_inodes=1 shm /dev/shm; everybody "no inodes"
umount /dev/shm

# Another root: /dev, /proc and the program's own file are not there.
for f in $(ldd $t/pie/main | grep -o '/[^ ]*'); do
	mkdir -p $t/root${f%/*}; cp -L $f $t/root$f
done
cp $t/static/main $t/root/s; cp $t/static/main.weld $t/root/s.weld
cp $t/pie/main $t/root/p; cp $t/pie/main.weld $t/root/p.weld
for f in s p; do
	for args in 100 "none" "jail kill" "flags 0x400"; do
		[ "$(chroot $t/root /$f $args)" = \
			"$(chroot $t/root /$f.weld $args)" ] ||
			die "chroot: $f $args"
	done
	BPFWELD_REGION=/r$f chroot $t/root /$f.weld 100 >/dev/null
done
[ -s $t/root/rs ] && [ -s $t/root/rp ] || die "no region in the chroot"
mount -t tmpfs none /dev
for kind in $kinds; do # the same, asked from outside
	a=$($t/$kind/main 100) b=$($(probed $kind main) 100)
	[ "$a" = "$b" ] || die "$kind without /dev"
done
umount /dev
EOF2
