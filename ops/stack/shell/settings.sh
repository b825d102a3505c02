# shellcheck shell=sh
# The settings that the scripts in ops/ read themselves. The server and nginx check their
# own. The script that reads this file defines refuse MESSAGE, which must not return.

default_settings() {
    : "${WORKERS=2}"
    : "${BASCULE_APP:=bascule_middleware.wsgi:application}"
    : "${BASCULE_CHAIN=}"
    : "${BASCULE_GRACEFUL_TIMEOUT=30}"
    : "${BASCULE_ACCESS_LOGFORMAT=json}"
    : "${HEALTH_PATH=/}"
}

check_settings() {
    case $WORKERS in
        [1-9] | [1-9][0-9]) ;;
        *) refuse "WORKERS is \"$WORKERS\": set it to the number of worker processes, 1 to 99" ;;
    esac
    case $BASCULE_GRACEFUL_TIMEOUT in
        '' | *[!0-9.]* | *.*.* | .*)
            refuse "BASCULE_GRACEFUL_TIMEOUT is \"$BASCULE_GRACEFUL_TIMEOUT\": set it to seconds, such as 30"
            ;;
    esac
    case $BASCULE_APP in
        *[!A-Za-z0-9_.:]* | '' | :* | *:)
            refuse "BASCULE_APP is \"$BASCULE_APP\": set it to MODULE:CALLABLE, such as project.wsgi:application"
            ;;
    esac
    case $HEALTH_PATH in
        *[!A-Za-z0-9_.~/%?=\&+:@,-]* | '')
            refuse "HEALTH_PATH is \"$HEALTH_PATH\": set it to a path that the application answers, such as /"
            ;;
        /*) ;;
        *) refuse "HEALTH_PATH is \"$HEALTH_PATH\": it starts with a slash" ;;
    esac
}

# A unix socket's path has 107 bytes (sockaddr_un), and the server binds .worker-99.status.PID
# before it takes the name: 26 bytes with the slash.
check_run_dir() {
    if [ "$(printf '%s' "$RUN_DIR" | wc -c)" -gt 81 ]; then
        refuse "RUN_DIR is \"$RUN_DIR\": that is too long for unix sockets in it, 81 bytes are the most. Set RUN_DIR to a shorter directory"
    fi
    case $RUN_DIR in
        *[\"\\\$%\']*) refuse "RUN_DIR is \"$RUN_DIR\": it may have no quote, backslash, dollar or percent sign" ;;
    esac
}
