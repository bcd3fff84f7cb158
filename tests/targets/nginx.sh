# SPDX-License-Identifier: MIT
# A workload for nginx: a master and a worker that serve files, ranges,
# listings, redirects, errors, compression, and a proxy.
# bash nginx.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work/www/dir" "$1/work/logs"
cd "$1/work"
times=${2:-1}
for i in 1 2 3; do seq 1 $((i * 1000)) >www/$i.txt; done
echo '<html>index</html>' >www/index.html
echo 'user:{PLAIN}secret' >passwd
touch -d @1700000000 www/* www
[ "$(id -u)" != 0 ] || user="user root;"
configure() { # PORT
	cat >nginx.conf <<EOF
${user-}
worker_processes 1;
pid nginx.pid;
error_log logs/error.log warn;
events { worker_connections 64; }
http {
	access_log logs/access.log;
	client_body_temp_path tmp1; proxy_temp_path tmp2;
	fastcgi_temp_path tmp3; uwsgi_temp_path tmp4; scgi_temp_path tmp5;
	types { text/html html; text/plain txt; }
	root www;
	gzip on;
	gzip_types text/plain;
	map \$arg_x \$mapped { default none; ~^a(.*) "a-\$1"; b two; }
	upstream back { server 127.0.0.1:$1; keepalive 2; }
	server {
		listen 127.0.0.1:$1;
		server_name front;
		location /dir/ { autoindex on; }
		location /old { return 301 /1.txt; }
		location /re { rewrite ^/re/(.*)\$ /\$1 last; }
		location /map { return 200 "\$mapped \$request_method\n"; }
		location /secret { auth_basic "s"; auth_basic_user_file passwd; }
		location /proxy/ {
			proxy_pass http://back/;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
		}
		location /limited { limit_except GET { deny all; } }
		error_page 404 /index.html;
	}
	server { listen 127.0.0.1:$1; server_name back; }
}
EOF
}
# A port that is free; always five digits.
for ((i = 0; i < 20; i++)); do
	port=$((10000 + RANDOM % 20000))
	configure $port
	nginx -p "$PWD/" -c nginx.conf -e logs/error.log 2>bind && break
done
for ((i = 0; i < 500; i++)); do
	[ -s nginx.pid ] && break
	sleep 0.02
done
pid=$(cat nginx.pid)

# All requests in one curl: it waits for each answer before it asks again.
cat >requests <<'EOF'
url = http://front/
url = http://front/[1-2].txt
next
url = http://front/3.txt
compressed
next
include
range = 10-40
url = http://front/1.txt
next
head
url = http://front/2.txt
next
include
url = http://front/none
url = http://front/old
next
url = http://front/re/1.txt
url = http://front/map?x=ab
url = http://front/map?x=b
url = http://front/map
url = http://front/dir/
next
write-out = "%{http_code}\n"
url = http://front/secret
next
user = user:secret
write-out = "%{http_code}\n"
url = http://front/secret
next
url = http://front/proxy/[1-2].txt
next
request = DELETE
url = http://front/limited
next
data = some=data
url = http://front/map
next
header = "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"
include
url = http://front/1.txt
EOF
sed -i "s|^url = .*|&\nresolve = front:$port:127.0.0.1|; s|front/|front:$port/|" requests
for ((i = 0; i < times; i++)); do
	curl -sS -K requests | sed "s/:$port/:PORT/" >got
	grep -av '^Date:' got | cksum
	grep -ac '^[0-9]*$' got
	grep -a 'HTTP\|[A-Z][a-z]*: ' got | grep -v '^Date'
done
nginx -p "$PWD/" -c nginx.conf -e logs/error.log -t 2>&1 | sed 's/.*nginx: //'
kill -QUIT "$pid"
for ((i = 0; i < 500; i++)); do
	[ -e nginx.pid ] || break
	sleep 0.02
done
cut -d'"' -f2- logs/access.log | cksum
cat logs/error.log | sed 's/.*: \*/*/' | cut -c1-60
