#!/bin/sh
# Writes the includes whose content depends on more than a value: the upstream's servers, the
# site's listener, the inside listener's port, idle connections at a reload, nginx's own counters, its
# compiler of expressions, files that lie there compressed.
set -eu

# The workers say how many they are, and it may change while nginx runs: follow.sh sees to that. The
# setting is for an nginx that is started by itself, or before them.
count=$(cat "$RUN_DIR/workers" 2>/dev/null) || count=$WORKERS
case $count in
    [1-9] | [1-9][0-9]) ;;
    *)
        printf 'nginx: %s/workers is "%s" and not the number of workers, 1 to 99: ops/deploy writes it\n' "$RUN_DIR" "$count" >&2
        exit 2
        ;;
esac

sockets=$NGINX_UPSTREAM_SOCKETS
# What nginx tells of itself (templates/40-status.conf.template).
told='return 404;'
if [ -z "$sockets" ]; then
    told="return 200 $count;"
    number=0
    while [ "$number" -lt "$count" ]; do
        sockets="$sockets worker-$number.sock"
        number=$((number + 1))
    done
fi

# max_fails=0: with the default, one refused connection takes a worker out for 10 s, and
# two that are recycled would leave none.
for socket in $sockets; do
    printf 'server "unix:%s/%s" max_fails=0;\n' "$RUN_DIR" "$socket"
done >"$NGINX_RUN_DIR/upstream_servers.conf"
printf '%s\n' "$told" >"$NGINX_RUN_DIR/workers.conf"

# All of IPv6 as well, where that is every address; the file of /proc is there when the kernel knows it.
# With TLS more follows (35-tls.envsh).
{
    printf 'listen %s:%s;\n' "$NGINX_HOST" "$NGINX_PORT"
    if [ "$NGINX_HOST" = '*' ] && [ -e /proc/net/if_inet6 ]; then
        printf 'listen [::]:%s;\n' "$NGINX_PORT"
    fi
} >"$NGINX_RUN_DIR/listen.conf"

if [ "$NGINX_STATUS_PORT" != off ]; then
    printf 'listen %s:%s;\n' "$NGINX_STATUS_HOST" "$NGINX_STATUS_PORT"
fi >"$NGINX_RUN_DIR/listen_status.conf"

# From 1.27.4 on, a reload leaves a client's connection open for this long after an answer. Older
# ones close it at once; they are prepared for it by reload.sh, which makes a file.
: >"$NGINX_RUN_DIR/keepalive.conf"
: >"$NGINX_RUN_DIR/closing.conf"
version=$("$NGINX_BINARY" -v 2>&1 | sed 's|.*nginx/||')
if [ "$(printf '%s\n' "$version" 1.27.4 | sort -V | head -n 1)" = 1.27.4 ]; then
    printf 'keepalive_min_timeout 5s;\n' >"$NGINX_RUN_DIR/keepalive.conf"
else
    # shellcheck disable=SC2016  # a variable of nginx
    printf 'if (-f "%s/closing") {\n    set $closing yes;\n}\n' "$NGINX_RUN_DIR" >"$NGINX_RUN_DIR/closing.conf"
fi

# Not every package is built with the module.
if "$NGINX_BINARY" -V 2>&1 | grep -q -e --with-http_stub_status_module; then
    printf 'location = /-/nginx {\n    stub_status;\n}\n'
fi >"$NGINX_RUN_DIR/status.conf"

# Nor with a compiler of expressions; nginx would say so at each start.
if "$NGINX_BINARY" -V 2>&1 | grep -q -e --with-pcre-jit; then
    printf 'pcre_jit on;\n'
fi >"$NGINX_RUN_DIR/pcre_jit.conf"

# app.css.gz beside app.css; and app.css.br, by a module of a package of its own, if it is there and
# this nginx takes it.
: >"$NGINX_RUN_DIR/modules.conf"
{
    if "$NGINX_BINARY" -V 2>&1 | grep -q -e --with-http_gzip_static_module; then
        printf 'gzip_static on;\n'
    fi
    modules=$("$NGINX_BINARY" -V 2>&1 | sed -n 's|.*--modules-path=\([^ ]*\).*|\1|p')
    brotli=$modules/ngx_http_brotli_static_module.so
    if [ -n "$modules" ] && [ -e "$brotli" ]; then
        printf 'load_module "%s";\n' "$brotli" >"$NGINX_RUN_DIR/modules.conf"
        printf 'include modules.conf;\npid check.pid;\nevents {}\n' >"$NGINX_RUN_DIR/check.conf"
        if "$NGINX_BINARY" -p "$NGINX_RUN_DIR/" -c check.conf -e stderr -t -q 2>/dev/null; then
            printf 'brotli_static on;\n'
        else
            : >"$NGINX_RUN_DIR/modules.conf"
        fi
        rm -f "$NGINX_RUN_DIR/check.conf" "$NGINX_RUN_DIR/check.pid"
    fi
} >"$NGINX_RUN_DIR/precompressed.conf"
