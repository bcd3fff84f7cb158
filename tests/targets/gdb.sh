# SPDX-License-Identifier: MIT
# A workload for gdb: symbols, types, expressions, disassembly, and errors, which are exceptions.
# bash gdb.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export HOME=$PWD LC_ALL=C TERM=dumb XDG_CACHE_HOME=$PWD
cat >t.cc <<'EOF'
#include <map>
#include <string>
namespace n { template <typename T> struct box { T v; T get() { return v; } }; }
struct pair { int a; union { long l; char c[8]; } u; } global = { 3, { 77 } };
enum color { RED, GREEN = 5 } shade = GREEN;
int table[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } };
const char *text = "some text";
static int twice(int x) { return x * 2; }
int main() { n::box<int> b = { 4 }; std::map<int, std::string> m;
  m[1] = text; return b.get() + twice(global.a) + (int)m.size(); }
EOF
touch -d @1000000000 t.cc
[ -e ../t ] || g++ -g -O0 -o ../t t.cc
cat >script <<'EOF'
set width 0
set confirm off
info line main
ptype global
ptype n::box<int>
whatis table
print global
print/x global.u.c
print table[1][2] * sizeof(table)
print shade == GREEN
print *text@4
print nothing
print table[1
print (char)65
x/3i main
disassemble twice
list twice
info scope main
info address global
info symbol main
info types color
info functions twice
break twice
break t.cc:9 if table[0][0] == 1
info breakpoints
delete 1
set var $x = 5
print $x + 3
if $x > 4
print "more"
else
print "less"
end
define hello
echo hello $arg0\n
end
hello world
print $_exitcode
frame 1
info sharedlibrary
maint demangle _ZN1n3boxIiE3getEv
python print(gdb.parse_and_eval("global")["a"] + 1)
source /none
help list
EOF
for ((i = 0; i < times; i++)); do
	# A command that fails ends a script; each for itself then.
	gdb -nx -batch -x script ../t 2>&1 || true
	while read -r line; do args+=(-ex "$line"); done \
		< <(grep -v '^if\|^else\|^end\|^define\|^echo\|less\|more' script)
	gdb -nx -batch "${args[@]}" ../t 2>&1 | sed "s/0x[0-9a-f]*/X/g" || true
done
