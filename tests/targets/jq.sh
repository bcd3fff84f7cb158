# SPDX-License-Identifier: MIT
# A workload for jq and libjq: filters, paths, strings, dates, errors.
# bash jq.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C TZ=UTC
cat >data.json <<'EOF'
{"users": [{"name": "Ann", "age": 31, "tags": ["a", "b"], "city": null},
 {"name": "Bob", "age": 27, "tags": [], "city": "Rome"},
 {"name": "Cid", "age": 31, "tags": ["b"], "city": "Oslo"}],
 "n": [1, 2.5, -3e10, 1e1000, 0], "text": "héllo \"w\" \u0041\n", "deep":
 {"a": {"b": {"c": [true, false, [1, [2, [3]]]]}}}}
EOF
filters=('.' '.users[] | .name' '[.users[] | select(.age > 30)] | length'
	'.users | group_by(.age) | map({age: .[0].age, names: map(.name)})'
	'.n | map(. * 2) | add' '.text | ascii_downcase | explode | implode'
	'paths(type == "number") | tostring' '.deep | [..] | length'
	'.users | map(.tags) | flatten | unique | join("-")'
	'to_entries | map(.key) | @csv' '.text | @base64, @uri, @html, @json'
	'.users | sort_by(-.age, .name) | .[0]' '[limit(5; range(0; 100; 7))]'
	'reduce .n[] as $x (0; . + 1)' '[foreach range(5) as $i (0; . + $i)]'
	'.text | test("w") , [match("l+"; "g").offset]' 'def f(x): x * 2; f(.n[1])'
	'"a,b" | split(",") , ltrimstr("a"), (. * 2)' '.users[1] | del(.tags)'
	'.users[0] | with_entries(.value |= tostring)' 'now | type'
	'0 | todate, (1700000000 | strftime("%j"))' 'try error("x") catch .'
	'.deep.a.b.c[2] | flatten' 'input_line_number' '.n | min, max, any'
	'[.users[] | if .city then .city else "none" end]' 'label $f | 1, break $f'
	'.users as [{name: $a}] | $a' '[splits("a")]?' 'getpath(["deep", "a"])'
	'tojson | fromjson | length' 'limit(3; repeat(1))' '.x.y.z' '.n.x' '{'
	'error' '[1, [2]] | tostream' 'ascii' '$__loc__' 'env.NONE' '$ENV | type'
	'[.[] | numbers?]' 'walk(if type == "array" then sort else . end)')
for ((i = 0; i < times; i++)); do
	for f in "${filters[@]}"; do
		jq -c "$f" data.json 2>&1 || echo "exit $?"
	done
	jq -S --tab . data.json | cksum
	jq -n --arg x 1 --argjson y '{"z": 2}' '[$x, $y.z, $ARGS.named]'
	jq -s -r '.[] | tostring' <<<'1 "two" [3] {"f": 4}'
	jq --stream -c . data.json | tail -2
	jq -e '.none' data.json || echo "exit $?"
	jq . <<<'{"a": [1, 2' 2>&1 || echo "exit $?"
	jq -R -c . <<<'raw "line"'
done
