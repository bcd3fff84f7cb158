# SPDX-License-Identifier: MIT
# A workload for curl and its library: file URLs, ranges, globs, uploads,
# errors, configuration files.
# bash curl.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work/files"
cd "$1/work"
times=${2:-1}
export HOME=$PWD LC_ALL=C
unset http_proxy https_proxy all_proxy no_proxy
for i in 1 2 3; do seq 1 $((i * 1000)) >"files/$i.txt"; done
base=file://$PWD/files
for ((i = 0; i < times; i++)); do
	curl -sS "$base/1.txt" | cksum
	curl -sS -r 100-299 "$base/2.txt"
	curl -sS -I "$base/3.txt" | grep -v Last-Modified
	curl -sS "$base/[1-3].txt" -o 'got_#1.txt'
	curl -sS --fail "$base/none" 2>&1 || echo "exit $?"
	curl -sS -T files/1.txt "$base/up.txt"
	curl -sS -w '%{http_code} %{size_download} %{url_effective}\n' \
		-o /dev/null "$base/{1,2}.txt"
	curl -sS gopher+bad://x 2>&1 || echo "exit $?"
	curl -sS 'http://[' 2>&1 || echo "exit $?"
done
cat got_*.txt files/up.txt | cksum
curl --help all | cksum
curl -V | sed 1d | cksum
printf 'url = "%s/2.txt"\nsilent\noutput = "cfg"\n' "$base" >config
curl -K config
cmp cfg files/2.txt
