# shellcheck shell=bash
# What ops/up, down, restart, health, logs and test share: where things are, which of the
# two modes runs, and the virtual environments. Read by them after `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
program=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
program=${program#"$root"/}
# shellcheck source=ops/stack/shell/run_dir.sh
. "$root/ops/stack/shell/run_dir.sh"

# What runs Bascule's own programs in the server's image (server/Dockerfile).
# shellcheck disable=SC2034  # read by the scripts
IMAGE_PYTHON=/opt/bascule/ops/bin/python

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

# each_setting FILE FUNCTION: calls FUNCTION NAME VALUE for what a file in .env's format sets. Nothing
# in the file is run. Where there is no Python, the stack runs in containers, and compose reads it.
each_setting() {
    local python calls
    [[ -f $1 ]] || return 0
    python=$(plain_python) || return 0
    calls=$(PYTHONPATH=$root/ops:$root/server PYTHONDONTWRITEBYTECODE=1 \
        "$python" -P -m bascule_ops.settings --env-file "$1" "$2") || refuse "$calls"
    eval "$calls"
}

# Settings from .env, as compose reads it: the environment wins, empty ones count as unset.
load_env() { each_setting "$root/.env" set_if_unset; }
set_if_unset() {
    if [[ -n $2 && -z ${!1+set} ]]; then
        export "$1=$2"
    fi
}

# What the running stack was started with, whatever the environment and .env say by now.
recall_settings() { each_setting "$RUN_DIR/settings" set_again; }
set_again() {
    export "$1=$2"
    # The names that would go before it are of the environment and .env as they are by now.
    [[ $1 != WORKERS ]] || unset BASCULE_WORKERS WEB_CONCURRENCY
}

# Paths of local mode.
local_paths() {
    : "${RUN_DIR:=$root/.run}"
    [[ $RUN_DIR == /* ]] || RUN_DIR=$root/$RUN_DIR
    # The checkout's owner is believed anyway: these scripts are his.
    check_owner RUN_DIR "$RUN_DIR" "$(stat -c %u "$root")"
    SUPERVISOR_DIR=$RUN_DIR
    NGINX_RUN_DIR=$RUN_DIR/nginx
    NGINX_SOURCE_DIR=$root/nginx
    SUPERVISOR_INCLUDE=supervisord-nginx.conf
    export RUN_DIR SUPERVISOR_DIR NGINX_RUN_DIR NGINX_SOURCE_DIR SUPERVISOR_INCLUDE
    PID_FILE=$RUN_DIR/supervise.pid
    # shellcheck disable=SC2034  # read by ops/deploy
    LOG_FILE=$RUN_DIR/bascule.log
    PYTHON=$root/.venv-run/bin/python
    PROJECT_DIR=$root
    export PYTHON PROJECT_DIR
    tls_paths
}

# Paths of the certificate are seen from the top directory, as compose sees them.
tls_paths() {
    local setting
    for setting in NGINX_TLS_CERTIFICATE NGINX_TLS_CERTIFICATE_KEY; do
        [[ -z ${!setting:-} || ${!setting} == /* ]] || export "$setting=$root/${!setting#./}"
    done
}

# local_pid [MODULE]: prints the id of this checkout's supervisord in local mode; fails where none
# runs. MODULE is what runs it.
local_pid() {
    local pid module=${1:-bascule_ops.supervision.supervised}
    pid=$(cat "$PID_FILE" 2>/dev/null) || return 1
    # The id may have gone to another process since.
    [[ $(readlink "/proc/$pid/cwd" 2>/dev/null) == "$root" ]] || return 1
    grep -qzxF "$module" "/proc/$pid/cmdline" 2>/dev/null || return 1
    printf '%s\n' "$pid"
}

engine_answers() {
    command -v docker >/dev/null && docker version >/dev/null 2>&1 && docker compose version >/dev/null 2>&1
}

# In the top directory, so that docker-compose.override.yml counts as well.
compose() { (cd "$root" && docker compose "$@"); }

compose_runs() {
    engine_answers && [[ -n $(compose ps --quiet 2>/dev/null) ]]
}

# only_one COMMAND: keeps a lock of this checkout's until the script ends; two operations at a
# time would each take the other's new workers for the old ones.
only_one() {
    local other
    exec 8>>"$root/.operation"
    if ! flock --nonblock 8; then
        other=$(cat "$root/.operation" 2>/dev/null)
        fail "${other:-another operation} is at work here; wait for its end"
    fi
    printf '%s (process %s)\n' "$1" "$$" >"$root/.operation"
}

# Steps of an operation, with what each took. The operation says how many there are.
steps=0
step_number=0
step() {
    step_number=$((step_number + 1))
    step_began=${EPOCHREALTIME/[.,]/}
    printf '[%s/%s] %s' "$step_number" "$steps" "$1"
    # Where nobody watches it grow, the line comes whole.
    [[ ! -t 1 ]] || printf ' ...'
}
done_step() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - step_began) / 100000))
    [[ ! -t 1 ]] || printf '\b\b\b\b'
    printf '%s: %s.%s s\n' "${1:+ ($1)}" "$((tenths / 10))" "$((tenths % 10))"
}

# Prints which way this checkout's stack runs: local, docker; or none.
running_mode() {
    if local_pid >/dev/null; then
        say local
    elif compose_runs; then
        say docker
    else
        say none
    fi
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

# ensure_venv DIRECTORY LOCK...: a virtual environment in the checkout with what the locks
# name, made anew when they change; of $venv_python, or any that is new enough.
ensure_venv() {
    local directory=$1 python lock
    shift
    local -a locks=()
    for lock; do locks+=("$root/requirements/$lock.txt"); done
    if [[ -x $directory/bin/python ]] && cat "${locks[@]}" | cmp -s - "$directory/installed.txt"; then
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
    # Where Bascule's own packages are. Not on PYTHONPATH, which an application's programs inherit.
    printf '%s\n' "$root/server" "$root/middleware" "$root/ops" >"$(echo "$directory"/lib/python3*/site-packages)/bascule.pth"
    # Last, so that an interrupted installation is done again.
    cat "${locks[@]}" >"$directory/installed.txt"
}
