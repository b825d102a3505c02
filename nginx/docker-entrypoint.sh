#!/bin/sh
# Prepares nginx's configuration from the environment, then becomes nginx.
#
# The hooks in docker-entrypoint.d/ run in the order of their numbers: *.envsh is read
# into this shell (settings), *.sh is run. The first that fails ends the start. The same
# scripts serve the container and local mode; only the paths in 10-settings.envsh differ.
set -eu

hooks=$(cd "$(dirname "$0")" && pwd)/docker-entrypoint.d

for hook in "$hooks"/*; do
    # shellcheck source=/dev/null
    case $hook in
        *.envsh) . "$hook" ;;
        *.sh) sh "$hook" ;;
    esac
done

if [ $# -gt 0 ]; then
    exec "$@"
fi

# As root (local mode only) the processes that serve stay root: the run directory and the
# checkout may be closed to anybody else.
directives='daemon off;'
if [ "$(id -u)" -eq 0 ]; then
    directives="$directives user root;"
fi
exec "$NGINX_BINARY" -p "$NGINX_RUN_DIR/" -c nginx.conf -e stderr -g "$directives"
