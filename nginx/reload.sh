#!/bin/sh
# Has the nginx of NGINX_RUN_DIR read its configuration again, without a client losing a request.
#
# nginx before 1.27.4 closes idle connections at once when it reloads, and what a client sends on one
# in that instant is lost. So each answer is first made the last one on its connection ("Connection:
# close", snippets/site.conf.template), until every connection that was there has had such an
# answer, or has idled away; then there is nobody left to close a connection on.
set -eu

# Tenths of a second that idle connections are waited for: NGINX_KEEPALIVE_TIMEOUT's default. Who has
# not sent anything for so long is not likely to do so in the instant of the reload.
IDLE_LIMIT=650
TOLD_AFTER=10
# And until nginx's old processes know that they are to end.
LEAVE_LIMIT=50

: "${NGINX_RUN_DIR=/run/nginx}"
closing=$NGINX_RUN_DIR/closing
master=$(cat "$NGINX_RUN_DIR/nginx.pid")

# The inodes of the site's connections. The fields are those of /proc/net/tcp (proc(5)); a
# connection that nobody has accepted yet has no inode, and will find $closing there.
connections() {
    # shellcheck disable=SC2086  # a port each
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v ports="$(printf '%04X ' $ports)" '
        BEGIN { for (i = split(ports, list, " "); i > 0; i--) ours[list[i]] = 1 }
        $4 == "01" && $10 != "0" && (substr($2, index($2, ":") + 1) in ours) { print $10 }'
}

processes() { grep -lx "PPid:	$master" /proc/[0-9]*/status 2>/dev/null | cut -d / -f 3; }

# Whether one of the processes $old still takes requests. nginx says in the title that it does not.
# shellcheck disable=SC2329  # within calls it
somebody_stays() {
    for process in $old; do
        [ ! -e "/proc/$process" ] || grep -q 'is shutting down' "/proc/$process/cmdline" 2>/dev/null || return 0
    done
    return 1
}

# within TENTHS COMMAND...: waits for COMMAND to fail; whether it has in that time.
within() {
    tenths=$1
    shift
    while "$@"; do
        [ "$tenths" -gt 0 ] || return 1
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# Whether one of the connections in $closing is still there.
# shellcheck disable=SC2329  # within calls it
somebody_idles() { connections | grep -qFxf "$closing"; }

reload() {
    # One at a time: the next finds the processes that this one has begun.
    exec 9>"$NGINX_RUN_DIR/reload.lock"
    flock 9
    old=$(processes)

    # Written by docker-entrypoint.d/30-upstream.sh where nginx itself leaves connections open for a while.
    if [ ! -s "$NGINX_RUN_DIR/keepalive.conf" ]; then
        ports=$(sed -n 's/^listen \(.*:\)\{0,1\}\([0-9]\{1,5\}\)[ ;].*/\2/p' "$NGINX_RUN_DIR/listen.conf")
        trap 'rm -f "$closing"' EXIT
        trap 'exit 143' HUP INT TERM
        : >"$closing"
        connections >>"$closing"
        within "$TOLD_AFTER" somebody_idles || {
            printf 'nginx: reloads when all connections have had a last answer, within 65 s; still open: %s\n' \
                "$(connections | grep -cFxf "$closing")" >&2
            within "$IDLE_LIMIT" somebody_idles || :
        }
    fi

    kill -HUP "$master"
    # Until then the old ones may accept a connection, and answer it.
    within "$LEAVE_LIMIT" somebody_stays || {
        printf 'nginx: it has not taken the new configuration; its log says why\n' >&2
        exit 1
    }
}

# In one line, read before it runs: the file may be another one when a long wait is over.
reload; exit
