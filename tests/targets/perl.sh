# SPDX-License-Identifier: MIT
# A workload for perl: regular expressions, hashes, closures, formats, eval.
# bash perl.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 LC_ALL=C HOME=$PWD
seq 1 200 >data
cat >work.pl <<'EOF'
use strict;
use warnings;
my $times = shift;

package Counter {
	sub new { my ($c, %a) = @_; return bless { n => 0, %a }, $c }
	sub add { my $s = shift; $s->{n} += $_ for @_; return $s }
	sub DESTROY { print "gone $_[0]{name}\n" }
	our $AUTOLOAD;
	sub AUTOLOAD { my $n = $AUTOLOAD; $n =~ s/.*:://; return "auto $n" }
}
sub fact { my $n = shift; return $n < 2 ? 1 : $n * fact($n - 1) }
sub counter { my $n = shift; return { up => sub { ++$n }, get => sub { $n } } }

for my $k (1 .. $times) {
	my $c = Counter->new(name => "c$k");
	print $c->add(1 .. 10)->{n}, " ", $c->missing, "\n";
	my %h = map { $_ => length $_ } qw(apple pear fig banana kiwi);
	print join(",", map { "$_=$h{$_}" } sort { $h{$a} <=> $h{$b} || $a cmp $b }
		keys %h), "\n";
	my $text = "The year 1999, and 2024-05-06; mail: a.b\@example.org";
	my @y = $text =~ /\b(\d{4})\b/g;
	(my $t = $text) =~ s/(\w+)/\u\L$1/g;
	print "@y $t\n";
	print "$1 $2 $+{d}\n" if $text =~ /(\d+)-(\d+)-(?<d>\d+)/;
	print join("|", split /[,;:]\s*/, $text), "\n";
	print "balanced\n" if "(a(b)c)" =~ /^(\((?:[^()]++|(?1))*\))$/;
	(my $r = "hello") =~ tr/a-y/b-z/;
	print $r, " ", scalar reverse("abc"), " ", "ab" x 3, " ", lc "ÀB", "\n";
	my $o = counter(5);
	$o->{up}->() for 1 .. 3;
	print $o->{get}->(), " ", fact(20), " ", 2**40, " ", 7 % -3, "\n";
	for my $bad (sub { die { code => 7 } }, sub { my $x; $x->foo },
		sub { 1 / ($k - $k) }, sub { no strict 'refs'; &{"nope"}() }) {
		eval { $bad->(); 1 } or print "error: ",
			ref $@ ? $@->{code} : $@ =~ s/ at .*//sr, "\n";
	}
	my @s = sort { $b <=> $a } map { $_ * 7 % 31 } 1 .. 30;
	print "@s[0..4] @{[splice @s, 2, 3]} ", scalar(@s), "\n";
	printf "%05.2f %-6s| %x %e %s\n", 3.14159, "ab", 255, 12345.678, 1e15;
	print unpack("H*", pack("nNvC*", 1, 2, 3, 4, 5)), " ",
		join(",", unpack("(A2)*", "aabbcc")), "\n";
	open my $f, "<", "data" or die;
	my $sum = 0;
	while (<$f>) { chomp; next unless /[05]$/; $sum += $_; last if $. > 150 }
	close $f;
	print "$sum ", join(",", (localtime 0)[5]), " ", sprintf("%vd", "1.22.333"),
		"\n";
	local $_ = "x=1, y=22";
	print "$1->$2 " while /(\w)=(\d+)/g;
	print wantarray() // "undef", "\n";
	my $str = "";
	open my $out, ">", \$str;
	print $out "in memory $_\n" for 1 .. 3;
	close $out;
	print length $str, " ", eval "my \$z = $k; \$z * 6", "\n";
}
my $pid = fork;
exit 5 unless $pid;
waitpid $pid, 0;
print $? >> 8, "\n";
exit 4;
EOF
perl work.pl "$times" || echo "exit $?"
[ -z "${SHORT-}" ] || exit 0
perl -lane '$s += $F[0]; END { print $s }' data
perl -e 'print "unfinished' 2>&1 || echo "exit $?"
perl -0777 -pe 's/\n/,/g' data | cksum
