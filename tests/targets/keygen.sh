# SPDX-License-Identifier: MIT
# A workload for ssh-keygen: keys read, converted, signed with and checked.
# bash keygen.sh DIRECTORY [TIMES]
# The keys are made once, by the first run.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C HOME=$PWD
for k in ed25519 ecdsa rsa; do
	[ -e ../key.$k ] || ssh-keygen -q -t $k -N '' -C "$k@test" -f ../key.$k
	cp ../key.$k ../key.$k.pub .
done
seq 1 100 >data
echo "a@example.org $(cut -d' ' -f1,2 key.ed25519.pub)" >allowed
for ((i = 0; i < times; i++)); do
	for k in ed25519 ecdsa rsa; do
		ssh-keygen -lf key.$k.pub | wc -w
		ssh-keygen -l -E md5 -f key.$k | wc -c
		ssh-keygen -y -f key.$k | cmp - key.$k.pub && echo same
		ssh-keygen -Bf key.$k.pub | wc -w
		ssh-keygen -lvf key.$k.pub | wc -l
		ssh-keygen -e -m RFC4716 -f key.$k.pub >rfc
		ssh-keygen -i -f rfc | cut -d' ' -f1
	done
	ssh-keygen -e -m PEM -f key.rsa.pub | head -1
	ssh-keygen -e -m PKCS8 -f key.ecdsa.pub | head -1
	rm -f data.sig
	ssh-keygen -q -Y sign -f key.ed25519 -n file data
	ssh-keygen -Y verify -f allowed -I a@example.org -n file \
		-s data.sig <data | cut -d' ' -f1-4
	ssh-keygen -Y find-principals -f allowed -s data.sig
	ssh-keygen -Y verify -f allowed -I b@example.org -n file \
		-s data.sig <data 2>&1 || echo "exit $?"
	ssh-keygen -q -s key.ed25519 -I id -n root -V 20230101:20330101 -z 7 \
		key.ecdsa.pub
	ssh-keygen -L -f key.ecdsa-cert.pub | grep -v SHA256 | wc -l
	echo "host $(cut -d' ' -f1,2 key.rsa.pub)" >known
	ssh-keygen -F host -f known | wc -w
	ssh-keygen -R host -f known 2>&1 | wc -l
	ssh-keygen -lf data 2>&1 || echo "exit $?"
	ssh-keygen -Q -f none data 2>&1 || echo "exit $?"
done
