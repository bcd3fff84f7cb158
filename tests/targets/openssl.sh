# SPDX-License-Identifier: MIT
# A workload for openssl, libssl and libcrypto: digests, ciphers, keys,
# certificates, and TLS between two processes.
# bash openssl.sh DIRECTORY [TIMES]
#
# What is random does not reach the output; how often the arithmetic ran does
# vary, so a judge has to mask it.  SHORT=1 leaves out nearly everything: each
# start of openssl runs 100,000 functions.
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export HOME=$PWD OPENSSL_CONF=/dev/null
seq 1 500 >data
if [ -n "${SHORT-}" ]; then
	openssl dgst -sha256 data
	openssl enc -aes-128-cbc -K 00112233445566778899aabbccddeeff \
		-iv 0011223344556677 -in data 2>/dev/null | cksum
	openssl ciphers -v ECDHE | cksum
	exit 0
fi
for ((i = 0; i < times; i++)); do
	for d in md5 sha1 sha256 sha384 sha512 sha3-256 blake2b512 ripemd160 \
		sm3 shake128; do
		openssl dgst "-$d" data
	done
	openssl dgst -sha256 -hmac secret data
	for c in aes-128-cbc aes-256-ctr aes-192-cfb aes-128-gcm chacha20 \
		camellia-128-cbc des-ede3-cbc aria-128-cbc sm4-cbc; do
		key=00112233445566778899aabbccddeeff
		openssl enc "-$c" -K $key -iv $key -in data -out enc 2>/dev/null ||
			continue
		openssl enc -d "-$c" -K $key -iv $key -in enc 2>/dev/null |
			cksum
	done
	openssl enc -base64 -in data | cksum
	openssl enc -aes-256-cbc -pbkdf2 -S 0011223344556677 -k pass \
		-in data | cksum
	openssl kdf -keylen 16 -kdfopt digest:SHA256 -kdfopt key:k \
		-kdfopt info:i HKDF
	openssl prime -checks 4 1000003
	openssl prime 1000001
done
openssl version -v | cksum
openssl list -digest-algorithms | cksum
openssl ciphers -v ALL | cksum
openssl asn1parse -genstr UTF8:hello
openssl ecparam -name prime256v1 -text -noout
openssl errstr 0A000086

# A key that all runs share (if need be, the first one makes it) and its
# certificate.
key=../key.pem
[ -e $key ] || openssl genpkey -algorithm RSA -out $key 2>/dev/null
openssl pkey -in $key -text -noout | cksum
openssl pkey -in $key -pubout -out pub.pem
openssl dgst -sha256 -sign $key -out sig data
openssl dgst -sha256 -verify pub.pem -signature sig data
openssl req -new -key $key -subj "/C=XX/O=Test/CN=localhost" \
	-sha256 -out req.pem
openssl req -in req.pem -verify -noout -text 2>&1 | cksum
openssl x509 -req -in req.pem -signkey $key -set_serial 7 -days 1 \
	-sha256 -out cert.pem 2>&1
openssl x509 -in cert.pem -noout -subject -issuer -serial -purpose
openssl verify -CAfile cert.pem cert.pem 2>&1
openssl crl2pkcs7 -nocrl -certfile cert.pem |
	openssl pkcs7 -print_certs -noout

# Random keys and signatures
openssl rand -hex 16 | wc -c
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa.pem \
	2>/dev/null
for k in EC:ec_paramgen_curve:P-256 ED25519 X25519; do
	o=()
	[[ $k != *:* ]] || o=(-pkeyopt "${k#*:}")
	openssl genpkey -algorithm "${k%%:*}" "${o[@]}" -out "k.${k%%:*}"
done
openssl pkeyutl -sign -rawin -inkey k.ED25519 -in req.pem -out s
openssl pkeyutl -verify -rawin -inkey k.ED25519 -in req.pem -sigfile s
openssl dgst -sha256 -sign k.EC -out s data
openssl dgst -sha256 -prverify k.EC -signature s data
openssl smime -sign -in data -text -signer cert.pem -inkey $key \
	-out signed 2>&1
openssl smime -verify -in signed -CAfile cert.pem -text 2>&1 | cksum

# TLS: one connection for each version, over a Unix socket.  It has its name
# (which openssl wants short) before it can be connected to; and the server
# closes, so that the client need not know when it has seen the answer.
printf -v sock 'sock%07d' $$
listens() { grep -q " 00010000 .* $sock\$" /proc/net/unix; }
for v in -tls1_2 -tls1_3; do
	rm -f $sock
	openssl s_server -unix $sock -cert cert.pem -key $key -naccept 1 \
		-quiet $v -rev >/dev/null 2>&1 &
	server=$!
	# Under uprobes that is minutes; a server that fails is gone.
	until listens || ! kill -0 $server 2>/dev/null; do
		sleep 0.02
	done
	printf 'hello\nCLOSE\n' | openssl s_client -unix $sock -quiet $v \
		-CAfile cert.pem -servername localhost 2>/dev/null |
		tr -d '\0'
	wait $server || true
done
