#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Under -j, standard output is one line of JSON whatever the command line is
# like: every command with every option that its help has, each without a value
# and with odd ones, -j in front and behind.  What fails says in "error" what is
# said on standard error without -j, and ends as it does.
. "$(dirname "$0")/../common.sh"
need python3
cd $t
$CC -O2 -o count $SOURCE/samples/count.c
cp $O/count.bpf.o count.bpf.o
$W weld count count.bpf.o -o welded > said
./welded > said
cat > each.py <<'END'
import json, re, subprocess, sys

ODD = ["", "x", "-1", "4097", "99999999999999999999", "x" * 5000, '\x01"\\',
       b"\xff\xc3", "[", "a=b"]
LINES = ["trace"] # a line a record, which there are none of
COMMANDS = { # and operands that it takes
    "weld": ["count", "count.bpf.o", "-o", "out"],
    "check": ["count", "count.bpf.o"],
    "list": ["count"],
    "info": ["welded"],
    "unweld": ["welded", "-o", "out"],
    "map list": ["welded"],
    "map show": ["welded"],
    "map dump": ["welded", "calls"],
    "map lookup": ["welded", "calls", "0"],
    "map update": ["welded", "calls", "0", "1"],
    "map delete": ["welded", "calls", "0"],
    "map clear": ["welded", "calls"],
    "map push": ["welded", "calls", "hex", "00"],
    "probe list": ["welded"],
    "probe show": ["welded"],
    "probe enable": ["welded"],
    "probe disable": ["welded"],
    "trace": ["--once", "welded"],
    "diff": ["count", "count.bpf.o"],
    "version": [],
    "help": [],
}
runs = 0

def run(args):
    global runs
    runs += 1
    p = subprocess.run([sys.argv[1], *args], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60)
    return p.returncode, p.stdout.decode(), p.stderr.decode()

# Without -j: the same exit, and one line that says the same.
def plain(args, code, error):
    got, out, err = run(args)
    line = err.split("\n")[0]
    assert got == code, "exit %d, with -j %d" % (got, code)
    assert line.startswith("bpfweld: "), err
    if "\\" not in line and line.isascii(): # each has its own escapes
        error = error.removesuffix(", not '-j'") # where a value lacks
        assert line == "bpfweld: " + error, (line, error)
    if code == 2:
        assert not out and err.count("\n") == 1, (out, err)

def judge(args, without):
    code, out, err = run(args)
    assert code in (0, 1, 2, 3, 4, 77), code
    if code == 0 and args[0] in LINES and not out:
        return
    assert out.count("\n") == 1, (out, err)
    said = json.loads(out)
    if code in (0, 77):
        return
    assert not err, err
    if "--json=x" not in without and " is no JSON" not in said["error"]:
        plain(without, code, said["error"])

def each(args, without):
    try:
        judge(args, without)
    except (AssertionError, ValueError, LookupError) as e:
        sys.exit(("%r: %r" % ([ x[:40] for x in args ], e))[:2000])

def both(command, *words):
    without = [ *command, *words ]
    each([ *command, "-j", *words ], without)
    each([ *without, "-j" ], without)

def helped(*command):
    code, out, err = run([ *command, "-h", "-j" ])
    text = json.loads(out)["help"]
    assert code == 0 and text == run([ *command, "-h" ])[1], out
    return text

everything = helped()
for name in re.findall(r"^    (\w+) ", everything, re.M):
    nested = re.findall(r"^    (\w+) ", helped(name), re.M)
    for x in nested if name != "help" else []:
        assert name + " " + x in COMMANDS, (name, x)
    assert nested or name in COMMANDS, name

for name, operands in COMMANDS.items():
    command = name.split()
    options = re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", helped(*command))
    for bad in "--bogus", "-x", "--json=x":
        both(command, *operands, bad)
        both(command, bad, *operands)
    both(command, "x" * 5000)
    both(command, *operands, *operands)
    for n in range(len(operands) if name not in LINES else 1):
        both(command, *operands[:n])
    for option in sorted({ *options } - { "-j", "--json", "-h" }):
        both(command, *operands, option)
        both(command, *operands, option, option)
        for odd in ODD:
            value = odd if isinstance(odd, bytes) else odd.encode()
            if option.startswith("--"):
                both(command, *operands, option.encode() + b"=" + value)
            else:
                both(command, *operands, option, value)
        both(command, *operands, option, "4", option, "x")

for words in [ "wedl" ], [ "" ], [ "x" * 5000 ], [ "--bogus" ], \
        [ "help", "x" ], [ "help", "map", "x" ], [ "help", "--bogus" ], \
        [ "map", "x" ], [ "probe", "x" ], [ "map", "--bogus" ]:
    each([ *words, "-j" ], words)
    each([ *words, "--json" ], words)
    each([ *words, "--js" ], words)
print(runs, "runs")
END
python3 each.py $W || die "not as it should be"

# What is only a value of an option, or another's word, asks for nothing.
not $W check count count.bpf.o -p count=uprobe:main+j -pj > out 2> err
[ ! -s out ] || die "JSON: $(cat out)"
not $W diff count count.bpf.o --cpus=x -- make -j > out 2> err
[ ! -s out ] || die "JSON: $(cat out)"
# It has its place, and an option's value is no option.
for line in '|-j' '|-j wedl' 'map |map -j' 'probe |probe -j list welded'; do
	exits 2 $W ${line#*|} > out
	grep -x "{\"error\":\"'-j' goes behind the ${line%|*}command\"}" out \
		> said || die "no word of its place: $(cat out)"
done
exits 2 $W weld count count.bpf.o -o -j > out
grep -x "{\"error\":\"option '-o' needs a value, not '-j'\"}" out > said ||
	die "-j for a file: $(cat out)"
[ ! -e ./-j ] || die "written to -j"
