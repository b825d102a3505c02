#!/bin/sh
# Prepares nginx's configuration from the environment, then becomes nginx.
#
# The hooks in docker-entrypoint.d/ run in the order of their numbers: *.envsh is read
# into this shell (settings), *.sh is run. The first that fails ends the start. The same
# scripts serve the container and local mode; only the paths in 10-settings.envsh differ.
#
# With the one argument "reload" it renders the configuration anew for an nginx that runs
# already, and has it read that where it differs; one that nginx refuses is put back as it was
# (exit 1). With "check" it only renders it, and asks nginx whether it is good; with "check-image" it
# does while an image is built, where no other container has a name yet.
set -eu

# Fails, in nginx's words, where it refuses what has been rendered; the project's own files have the
# names that their authors know.
nginx_accepts() {
    words=$("$NGINX_BINARY" -p "$NGINX_RUN_DIR/" -c nginx.conf -e stderr -t -q 2>&1) && status=0 || status=1
    [ -z "$words" ] ||
        printf '%s\n' "$words" | sed "s#$NGINX_RUN_DIR/\(site\.d\|http\.d\)/#$NGINX_PROJECT_DIR/\1/#" >&2
    return "$status"
}

# Puts back what was rendered before.
undo_reload() {
    (cd "$NGINX_RUN_DIR" && rm -rf conf.d snippets site.d http.d)
    cp -R "$before/." "$NGINX_RUN_DIR/"
    rm -rf "$before"
}

hooks=$(cd "$(dirname "$0")" && pwd)/docker-entrypoint.d

if [ "${1-}" = reload ]; then
    NGINX_RELOAD=yes
    export NGINX_RELOAD
    # Where it runs; the hooks read the same again.
    # shellcheck source=/dev/null
    . "$hooks/10-settings.envsh"
    # One at a time: the next compares with what this one has rendered.
    exec 8>"$NGINX_RUN_DIR/render.lock"
    flock 8
    before=$NGINX_RUN_DIR/temp/before-reload
    rm -rf "$before"
    mkdir "$before"
    for each in conf.d snippets site.d http.d; do
        # An earlier version's had no more than the first two.
        [ ! -d "$NGINX_RUN_DIR/$each" ] || cp -R "$NGINX_RUN_DIR/$each" "$before/"
    done
    cp "$NGINX_RUN_DIR"/*.conf "$before/"
    trap undo_reload EXIT
    trap 'exit 143' HUP INT TERM
fi

for hook in "$hooks"/*; do
    # shellcheck source=/dev/null
    case $hook in
        *.envsh) . "$hook" ;;
        *.sh) sh "$hook" ;;
    esac
done

if [ "${1-}" = reload ]; then
    nginx_accepts || exit 1
    for changed in "$before"/*; do
        diff -r "$changed" "$NGINX_RUN_DIR/${changed##*/}" >/dev/null || break
        changed=
    done
    if [ -n "$changed" ]; then
        result=reloaded
        sh "${hooks%/*}/reload.sh"
    else
        result='nothing new'
    fi
    trap - EXIT
    rm -rf "$before"
    printf '%s\n' "$result"
    exit 0
fi

if [ "${1-}" = check ]; then
    nginx_accepts
    exit
fi

if [ "${1-}" = check-image ]; then
    nginx_accepts && exit
    case $words in *'host not found in upstream'*) exit 0 ;; esac
    exit 1
fi

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
