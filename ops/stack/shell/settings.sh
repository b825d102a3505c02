# shellcheck shell=sh
# The settings that the scripts in ops/ read themselves: bascule_ops.settings has their
# defaults and checks. The server and nginx check their own. The script that reads this file
# defines refuse MESSAGE, which must not return, and sets OPS_PYTHON or defines plain_python.

# Where there is no Python, the stack runs in containers, and what is not set is settled in there.
default_settings() {
    settings_python=${OPS_PYTHON:-}
    [ -n "$settings_python" ] || settings_python=$(plain_python) || settings_python=
    if [ -n "$settings_python" ]; then
        settings_text=$(ask_settings --shell)
        eval "$settings_text"
    else
        : "${WORKERS=}" "${BASCULE_APP=}" "${BASCULE_CHAIN=}" "${BASCULE_GRACEFUL_TIMEOUT=}" \
            "${BASCULE_ACCESS_LOGFORMAT=}" "${HEALTH_PATH=}"
    fi
}

# Also whether RUN_DIR can be used, once it is known.
check_settings() {
    [ -n "$settings_python" ] || return 0
    settings_refusal=$(
        export WORKERS BASCULE_APP BASCULE_CHAIN BASCULE_GRACEFUL_TIMEOUT HEALTH_PATH
        ask_settings --check
    ) || refuse "$settings_refusal"
}

check_run_dir() { check_settings; }

# ask_settings ARGUMENT. In a checkout its packages may not be on any path.
ask_settings() {
    PYTHONPATH=${root:+$root/ops:$root/server:}${PYTHONPATH:-} PYTHONDONTWRITEBYTECODE=1 \
        "$settings_python" -P -m bascule_ops.settings "$1"
}
