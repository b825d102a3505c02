# shellcheck shell=bash
# shellcheck disable=SC2154,SC2153  # program, root, PYTHON and LOG_FILE come from ops/stack/shell/stack.sh
# How ops/logs, requests, slow and report read the stack's log. Read by them after ops/stack/shell/stack.sh.

# read_log MODULE ARGUMENT...: becomes bascule_ops.logs.MODULE, which reads the log of the running
# stack or, with --file in the arguments, a saved one.
read_log() {
    local module=bascule_ops.logs.$1 python mode=saved argument
    shift
    load_env
    local_paths
    for argument; do
        case $argument in --file | --file=*) mode= ;; esac
    done
    [[ -z $mode ]] || mode=$(running_mode)
    python=$(plain_python) || python=
    export PYTHONPATH=$root/ops PYTHONDONTWRITEBYTECODE=1
    case $mode in
        '') exec_reader "$module" "$@" ;;
        local) exec_reader "$module" --stack-log "$LOG_FILE" --stack-pid "$(local_pid)" "$@" ;;
        docker)
            [[ -z $python ]] || exec_reader "$module" --compose "$root" "$@"
            read_in_container "$module" "$@"
            ;;
        *)
            exec_reader "$module" "$@" --no-stack \
                "$program: the stack does not run; ops/up starts it. A saved log is read with --file"
            ;;
    esac
}

exec_reader() {
    [[ -n $python ]] || fail "needs Python 3.11 or newer on the PATH, and there is none"
    exec "$python" -m "$@"
}

# No Python here: the one in the server's container reads what comes on its standard input.
read_in_container() {
    local follow=() argument
    for argument; do
        case $argument in -f | --follow) follow=(--follow) ;; esac
    done
    compose logs --no-log-prefix --no-color "${follow[@]}" |
        compose exec -T server "$IMAGE_PYTHON" -P -m "$@"
    exit
}
