# shellcheck shell=bash
# The door of the checkout to one command of basculectl: the one that the script reading this file
# is named after. It finds, or for `up` makes, the Python that runs it.
set -euo pipefail
# shellcheck source=ops/stack/shell/stack.sh
. "${BASH_SOURCE[0]%/*}/stack.sh"

venv=$root/.venv-run
packages=$root/ops:$root/server:$root/middleware

# Whether the arguments ask for local mode, or for whatever this machine can do and that is it.
starts_here() {
    local argument mode=
    for argument; do
        case $argument in
            --local) mode=local ;;
            --docker) mode=docker ;;
            -h | --help) return 1 ;;
        esac
    done
    [[ $mode == local ]] || { [[ -z $mode ]] && ! engine_answers; }
}

# Nothing is taken from under a stack that runs, be it of 0.1 (to be removed in 0.3).
runs_already() {
    local python
    python=$(plain_python) && PYTHONPATH=$packages PYTHONDONTWRITEBYTECODE=1 \
        "$python" -P -m bascule_ops.control.runs "$root" 2>/dev/null
}

# nginx comes along where the machine has none. An ordinary user's PATH often lacks the directories
# of daemons.
prepare() {
    if PATH=$PATH:/usr/local/sbin:/usr/sbin nginx -v >/dev/null 2>&1; then
        ensure_venv "$venv" stack
    else
        ensure_venv "$venv" stack local
    fi
}

# in_container ARGUMENT...: becomes the same command in the server's container, where this machine has
# no Python. The log is the engine's to give: it comes on the command's standard input.
in_container() {
    local command=${program#ops/} argument follow=() arguments=()
    if [[ $command == up || $command == down || $command == list ]] || ! compose_runs; then
        fail "needs Python 3.11 or newer on the PATH, and there is none"
    fi
    case $command in
        logs | requests | slow)
            for argument; do
                case $argument in -f | --follow) follow=(--follow) ;; *) arguments+=("$argument") ;; esac
            done
            compose logs --no-log-prefix --no-color "${follow[@]}" |
                compose exec -T server basculectl "$command" --file - "${arguments[@]}"
            exit
            ;;
    esac
    compose exec -T server basculectl "$command" "$@"
    exit
}

if [[ $program == ops/up ]] && starts_here "$@" && ! runs_already; then prepare; fi
PYTHON=$venv/bin/python
python=$(plain_python) || in_container "$@"
# A virtual environment of 0.1, or of a checkout that has moved, does not know where our packages are.
known=
for file in "$venv"/lib/python3*/site-packages/bascule.pth; do
    [[ ! -f $file ]] || known=$(<"$file")
done
if [[ $python != "$PYTHON" || $'\n'$known$'\n' != *$'\n'"$root/ops"$'\n'* ]]; then
    export PYTHONPATH=$packages
fi
export PYTHONDONTWRITEBYTECODE=1 BASCULECTL_DOOR=ops/
exec "$python" -P -m bascule_ops --project "$root" "${program#ops/}" "$@"
