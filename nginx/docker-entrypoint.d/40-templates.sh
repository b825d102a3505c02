#!/bin/sh
# Renders templates/NAME.template to NGINX_RUN_DIR/conf.d/NAME, replacing ${NAME} for the
# names in NGINX_TEMPLATE_NAMES and nothing else. awk, because envsubst (gettext) is a
# package of its own and would replace an unset name with nothing, without a word.
set -eu

rendered=0
for template in "$NGINX_SOURCE_DIR"/templates/*.template; do
    [ -r "$template" ] || continue
    name=$(basename "$template" .template)
    awk -v names="$NGINX_TEMPLATE_NAMES" -v file="$template" '
        function fail(message) {
            printf "nginx: %s, line %d: %s\n", file, NR, message | "cat >&2"
            close("cat >&2")
            exit 2
        }
        BEGIN {
            count = split(names, list)
            for (i = 1; i <= count; i++) known[list[i]] = 1
        }
        {
            rest = $0
            line = ""
            while (match(rest, /\$\{[A-Z][A-Z0-9_]*\}/)) {
                setting = substr(rest, RSTART + 2, RLENGTH - 3)
                if (!(setting in known)) fail("${" setting "} is no setting: add it to 10-settings.envsh")
                if (ENVIRON[setting] == "") fail(setting " is empty: set it, or leave it out for its default")
                line = line substr(rest, 1, RSTART - 1) ENVIRON[setting]
                rest = substr(rest, RSTART + RLENGTH)
            }
            print line rest
        }
    ' "$template" >"$NGINX_RUN_DIR/conf.d/$name"
    rendered=$((rendered + 1))
done

if [ "$rendered" -eq 0 ]; then
    printf 'nginx: no template in %s/templates: NGINX_SOURCE_DIR is wrong, or the directory is not readable\n' "$NGINX_SOURCE_DIR" >&2
    exit 2
fi
