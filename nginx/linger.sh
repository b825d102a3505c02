#!/bin/sh
# PID 1 of nginx's container: runs the command that it is given and follow.sh beside it, passes signals
# on to it (SIGHUP by way of reload.sh) and, after its end, stays until clients have the last bytes. Its
# exit status is the command's.
#
# nginx ends as soon as the kernel has the rest of its answers, which may be megabytes for a client
# that reads slowly. Where nginx is a process of a machine that is enough. A container's network is
# taken away at its end, and the rest with it.
set -eu

# Tenths of a second. Who needs longer for the rest is cut off.
LIMIT=300
# What comes through an address of the machine itself is passed on by the engine's port proxy, which
# is killed at the container's end. It has the rest already then; that its client has it is not to be
# seen before that one closes, and some never do. nginx's lingering_timeout is as long.
PROXY_LIMIT=50

"$@" &
child=$!
# In a session, and so a group, of its own: what it has begun ends with it.
setsid "${0%/*}/follow.sh" "$1" reload &
follower=$!
end_follower() { kill -s TERM -- "-$follower" 2>/dev/null || :; }
# A reload takes its time, and other signals are not to wait for it.
trap '"${0%/*}/reload.sh" &' HUP
# First, so that nobody reloads an nginx that ends.
for signal in INT QUIT TERM; do
    # shellcheck disable=SC2064  # both are known now
    trap "end_follower; kill -s $signal $child 2>/dev/null || :" "$signal"
done
# shellcheck disable=SC2064
trap "kill -s USR1 $child 2>/dev/null || :" USR1

# `wait` ends with the child, and with each signal.
while :; do
    status=0
    wait "$child" || status=$?
    kill -0 "$child" 2>/dev/null || break
done
end_follower

# The port proxy's address, in the form of /proc/net/tcp.
gateway=$(awk '$2 == "00000000" { print $3; exit }' /proc/net/route)

# The fields of /proc/net/tcp: proc(5). A send queue of one byte is a FIN: it tells a client that is
# gone the end of an idle connection, and there is no need to wait for it. States 04 and 05 are
# FIN_WAIT1 and FIN_WAIT2: the other side has not closed yet.
somebody_waits() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk \
        -v tenths="$tenths" -v limit="$LIMIT" -v proxy_limit="$PROXY_LIMIT" -v gateway="$gateway" '
        $4 == "st" { next }
        substr($5, 1, 8) > "00000001" && tenths < limit { found = 1 }
        ($4 == "04" || $4 == "05") && substr($3, 1, 8) == gateway && tenths < proxy_limit { found = 1 }
        END { exit !found }'
}

tenths=0
while somebody_waits; do
    sleep 0.1
    tenths=$((tenths + 1))
done
exit "$status"
