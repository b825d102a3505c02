# shellcheck shell=bash
# What the doors in ops/ and the developers' tools share: where things are, the container engine, and
# the virtual environments. Read by them after `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
program=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
program=${program#"$root"/}

say() { printf '%s\n' "$*"; }

# refuse MESSAGE: the setting or the call is wrong.
refuse() {
    printf '%s: %s\n' "$program" "$*" >&2
    exit 2
}

# fail MESSAGE: it was tried and did not work.
fail() {
    printf '%s: %s\n' "$program" "$*" >&2
    exit 1
}

engine_answers() {
    command -v docker >/dev/null && docker version >/dev/null 2>&1 && docker compose version >/dev/null 2>&1
}

# In the top directory, so that docker-compose.override.yml counts as well.
compose() { (cd "$root" && docker compose "$@"); }

compose_runs() {
    engine_answers && [[ -n $(compose ps --quiet 2>/dev/null) ]]
}

# Prints a Python that can run what needs the standard library only: the stack's own, or one of
# this machine. Fails where there is none.
plain_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# find_python [RELEASE]: prints a Python that is new enough, or of that release, such as 3.12, and
# can make virtual environments. A release is looked for among pyenv's as well, which has only its
# user's choice on the PATH.
# shellcheck disable=SC2120  # ops/test names a release
find_python() {
    local names=(python3.13 python3.12 python3.11 python3 python3.14) elsewhere='' name candidate reason=''
    if [[ -n ${1:-} ]]; then
        names=("python$1")
        elsewhere="${PYENV_ROOT:-${HOME-}/.pyenv}/versions/*/bin/python$1"
    fi
    for name in "${names[@]}"; do
        while IFS= read -r candidate; do
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
            if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
                printf '%s\n' "$candidate"
                return
            fi
            reason="$candidate cannot make virtual environments: install its venv module (Debian: the package python3-venv)"
        done < <(type -aP "$name" || true; compgen -G "$elsewhere" || true)
    done
    fail "${reason:-needs Python 3.11 or newer on the PATH, and there is none}"
}

# name_packages DIRECTORY: tells a virtual environment where Bascule's own packages are. Not by
# PYTHONPATH, which an application's programs inherit.
name_packages() {
    local file places
    file=$(echo "$1"/lib/python3*/site-packages)/bascule.pth
    places=$(printf '%s\n' "$root/server" "$root/middleware" "$root/ops")
    [[ $(cat "$file" 2>/dev/null) == "$places" ]] || say "$places" >"$file"
}

# ensure_venv DIRECTORY LOCK...: a virtual environment in the checkout with what the locks
# name, made anew when they change; of $venv_python, or any that is new enough.
ensure_venv() {
    local directory=$1 python lock
    shift
    local -a locks=()
    for lock; do locks+=("$root/requirements/$lock.txt"); done
    if [[ -x $directory/bin/python ]] && cat "${locks[@]}" | cmp -s - "$directory/installed.txt"; then
        name_packages "$directory" # the checkout may have moved since
        return
    fi
    # shellcheck disable=SC2119  # any that is new enough
    python=${venv_python:-$(find_python)}
    say "Installing $* into ${directory#"$root"/} with $("$python" --version) ..."
    rm -rf "$directory"
    "$python" -m venv "$directory" || fail "$python could not make a virtual environment in $directory"
    printf '*\n' >"$directory/.gitignore"
    local -a arguments=()
    for lock in "${locks[@]}"; do arguments+=(--requirement "$lock"); done
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "${arguments[@]}" ||
        fail "pip could not install requirements/${*}; its message is above"
    name_packages "$directory"
    # Last, so that an interrupted installation is done again.
    cat "${locks[@]}" >"$directory/installed.txt"
}
