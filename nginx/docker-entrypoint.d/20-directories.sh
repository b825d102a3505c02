#!/bin/sh
# Makes NGINX_RUN_DIR, the one directory that nginx writes to, and puts there what needs
# no rendering. Starts from nothing each time: no rest of an older configuration stays.
set -eu

fail() {
    printf 'nginx: %s\n' "$1" >&2
    exit 1
}

remedy='give nginx a directory that its user may write to (a tmpfs in a container)'
mkdir -p "$NGINX_RUN_DIR" 2>/dev/null || fail "cannot make NGINX_RUN_DIR=$NGINX_RUN_DIR: $remedy"
[ -w "$NGINX_RUN_DIR" ] || fail "cannot write to NGINX_RUN_DIR=$NGINX_RUN_DIR: $remedy"

(cd "$NGINX_RUN_DIR" && rm -rf conf.d snippets site.d http.d)
# What stays behind when nginx is killed, and reload.sh: nginx does not bind over the first, would
# close each connection after one answer for the second, and seems to run by the third. Unless it does.
[ -n "${NGINX_RELOAD-}" ] || (cd "$NGINX_RUN_DIR" && rm -f status.sock closing nginx.pid)
mkdir -p "$NGINX_RUN_DIR/conf.d" "$NGINX_RUN_DIR/temp"
# Uploads wait there until they are complete.
df -Pk "$NGINX_RUN_DIR" | awk -v setting="$NGINX_CLIENT_MAX_BODY_SIZE" -v place="$NGINX_RUN_DIR" '
    BEGIN { kib["k"] = 1; kib["m"] = 1024; kib["g"] = 1048576; kib["0"] = 1 / 1024 }
    NR == 2 {
        unit = tolower(substr(setting, length(setting)))
        wanted = (setting + 0) * (unit in kib ? kib[unit] : kib["0"])
        if (wanted <= $2) exit
        printf "nginx: NGINX_CLIENT_MAX_BODY_SIZE is \"%s\": uploads wait in %s, which has %d MiB; with containers set SPOOL_SIZE, and NGINX_MEMORY and SERVER_MEMORY, to more\n", setting, place, $2 / 1024 | "cat >&2"
        close("cat >&2")
        exit 2
    }'
cp "$NGINX_SOURCE_DIR/nginx.conf" "$NGINX_RUN_DIR/nginx.conf" ||
    fail "cannot copy nginx.conf from NGINX_SOURCE_DIR=$NGINX_SOURCE_DIR to $NGINX_RUN_DIR"
cp -R "$NGINX_SOURCE_DIR/snippets" "$NGINX_RUN_DIR/snippets" ||
    fail "cannot copy snippets from NGINX_SOURCE_DIR=$NGINX_SOURCE_DIR to $NGINX_RUN_DIR"
# The project's own, with what lies beside them (a file of passwords, say).
for part in site.d http.d; do
    mkdir "$NGINX_RUN_DIR/$part"
    [ ! -d "$NGINX_PROJECT_DIR/$part" ] || cp -R "$NGINX_PROJECT_DIR/$part/." "$NGINX_RUN_DIR/$part/" ||
        fail "cannot copy $NGINX_PROJECT_DIR/$part to $NGINX_RUN_DIR"
done
