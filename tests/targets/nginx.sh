# SPDX-License-Identifier: MIT
# A workload for nginx: a master and a worker on Unix sockets, that serve
# files, ranges, listings, redirects, errors, compression, and a proxy.
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
	upstream back { server unix:back.sock; keepalive 2; }
	server {
		listen unix:front.sock;
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
	server { listen unix:back.sock; server_name back; }
}
EOF
nginx -p "$PWD/" -c nginx.conf -e logs/error.log
for ((i = 0; i < 500; i++)); do
	[ -S back.sock ] && [ -s nginx.pid ] && break
	sleep 0.02
done
pid=$(cat nginx.pid)
get() { command curl -sS --unix-socket front.sock "$@" | grep -av '^Date:' || true; }
for ((i = 0; i < times; i++)); do
	get http://front/ http://front/1.txt http://front/2.txt | cksum
	get --compressed http://front/3.txt | cksum
	get -i -r 10-40 http://front/1.txt
	get -i -r 10-20,30-40 http://front/1.txt | grep -avc boundary
	get -I http://front/2.txt
	get -i http://front/none
	get -i http://front/old
	get http://front/re/1.txt | cksum
	get 'http://front/map?x=ab' 'http://front/map?x=b' http://front/map
	get -o /dev/null -w '%{http_code}\n' http://front/secret
	get -u user:secret -o /dev/null -w '%{http_code}\n' \
		http://front/secret
	get http://front/dir/ | wc -l
	get http://front/proxy/1.txt http://front/proxy/2.txt | cksum
	get -X DELETE -o /dev/null -w '%{http_code}\n' http://front/limited
	get -d 'some=data' -o /dev/null -w '%{http_code}\n' http://front/map
	get -H 'If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT' -i \
		http://front/1.txt
	get -H 'Host: front' --http1.0 http://front/1.txt | cksum
done
nginx -p "$PWD/" -c nginx.conf -e logs/error.log -t 2>&1 | sed 's/.*nginx: //'
kill -QUIT "$pid"
for ((i = 0; i < 500; i++)); do
	[ -e nginx.pid ] || break
	sleep 0.02
done
cut -d'"' -f2- logs/access.log | cksum
cat logs/error.log | sed 's/.*: \*/*/' | cut -c1-60
