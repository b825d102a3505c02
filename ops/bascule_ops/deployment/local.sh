# shellcheck shell=bash disable=SC2154  # what stack.sh defines
# ops/deploy in local mode: supervisord and nginx go on, and get other workers.

deploy_local() {
    local timeout=$1 previous=$2 status=0 log_size
    check_venv
    log_size=$(stat -c %s "$LOG_FILE")
    export WORKERS BASCULE_APP BASCULE_CHAIN BASCULE_GRACEFUL_TIMEOUT BASCULE_ACCESS_LOGFORMAT HEALTH_PATH
    (cd "$root" && exec "$PYTHON" -P -m bascule_ops.deployment.local --timeout "$timeout" ${previous:+--previous}) || status=$?
    local lines
    lines=$(tail -c "+$((log_size + 1))" "$LOG_FILE" | grep -v '"event": *"request"' | tail -n 10 | sed 's/^/  /') || true
    if ((status == 1)) && [[ -n $lines ]]; then
        printf '%s\n' 'The last lines of its log:' "$lines" >&2
    fi
    return "$status"
}

# The running processes use what is installed, and would miss what is taken from under them.
check_venv() {
    local lock=$root/requirements/stack.txt
    head -c "$(stat -c %s "$lock")" "$root/.venv-run/installed.txt" | cmp -s - "$lock" ||
        fail "requirements/stack.txt has changed, and the running processes use what is installed: that needs ops/down and ops/up"
}
