#!/bin/sh
# Renders templates/NAME.template to NGINX_RUN_DIR/conf.d/NAME, snippets/NAME.template to snippets/NAME, and
# the project's own site.d and http.d, replacing ${NAME} for the names in NGINX_TEMPLATE_NAMES and nothing else. awk, because envsubst (gettext) is a
# package of its own and would replace an unset name with nothing, without a word.
set -eu

# render FILE TO
render() {
    awk -v names="$NGINX_TEMPLATE_NAMES" -v file="$1" '
        function fail(message) {
            printf "nginx: %s, line %d: %s\n", file, NR, message | "cat >&2"
            close("cat >&2")
            exit 2
        }
        BEGIN {
            gsub(/[ \n]+/, " ", names)
            count = split(names, list)
            for (i = 1; i <= count; i++) known[list[i]] = 1
        }
        {
            rest = $0
            line = ""
            while (match(rest, /\$\{[A-Z][A-Z0-9_]*\}/)) {
                setting = substr(rest, RSTART + 2, RLENGTH - 3)
                if (!(setting in known)) fail("${" setting "} is no setting of nginx; those are " names)
                if (ENVIRON[setting] == "") fail(setting " is empty: set it, or leave it out for its default")
                line = line substr(rest, 1, RSTART - 1) ENVIRON[setting]
                rest = substr(rest, RSTART + RLENGTH)
            }
            print line rest
        }
    ' "$1" >"$2"
}

rendered=0
for template in "$NGINX_SOURCE_DIR"/templates/*.template; do
    [ -r "$template" ] || continue
    render "$template" "$NGINX_RUN_DIR/conf.d/$(basename "$template" .template)"
    rendered=$((rendered + 1))
done

if [ "$rendered" -eq 0 ]; then
    printf 'nginx: no template in %s/templates: NGINX_SOURCE_DIR is wrong, or the directory is not readable\n' "$NGINX_SOURCE_DIR" >&2
    exit 2
fi

for template in "$NGINX_SOURCE_DIR"/snippets/*.template; do
    render "$template" "$NGINX_RUN_DIR/snippets/$(basename "$template" .template)"
done

for part in site.d http.d; do
    for file in "$NGINX_PROJECT_DIR/$part"/*.conf; do
        [ ! -f "$file" ] || render "$file" "$NGINX_RUN_DIR/$part/$(basename "$file")"
    done
done
