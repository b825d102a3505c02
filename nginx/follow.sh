#!/bin/bash
# Beside nginx: has it learn how many workers there are, whoever of them started first. Looks once a
# second whether RUN_DIR/workers differs from what nginx was given (docker-entrypoint.d/30-upstream.sh),
# and then runs the command that it is given, "docker-entrypoint.sh reload". Ends with its parent.
set -u

PAUSE=1      # seconds; 0.1 ms of a processor each
PATIENCE=10  # seconds after nginx could not be reloaded

: "${RUN_DIR:=/run/bascule}" "${NGINX_RUN_DIR:=/run/nginx}"
# Sockets with names of their own are not counted.
[ -z "${NGINX_UPSTREAM_SOCKETS-}" ] || exit 0

# Nobody writes to it: who reads from it with a time limit pauses, without a process of its own.
exec {nobody}<> <(:)
pause() { read -rt "$1" -u "$nobody" || :; }

seen=
while [ -e "/proc/$PPID" ] && pause "$PAUSE"; do
    # nginx.pid: it runs. Its line is "return 200 NUMBER;".
    {
        [ -s "$NGINX_RUN_DIR/nginx.pid" ] &&
            read -r _ _ given <"$NGINX_RUN_DIR/workers.conf" &&
            read -r workers <"$RUN_DIR/workers"
    } 2>/dev/null || continue
    if [ "$given" = "$workers;" ]; then
        seen=
    elif [ "$seen" != "$workers" ]; then
        seen=$workers  # a deployment says it to nginx itself, at once
    elif result=$("$@"); then
        [ "$result" = reloaded ] || continue
        TZ=UTC printf '{"time":"%(%FT%T)T.000Z","level":"info","event":"workers_changed","worker":"nginx","message":"nginx knows %s workers now; it knew %s","workers":%s}\n' \
            -1 "$workers" "${given%;}" "$workers"
    else
        pause "$PATIENCE"
    fi
done
