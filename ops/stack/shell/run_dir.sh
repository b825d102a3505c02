# shellcheck shell=sh
# Whether a directory may be trusted with sockets and with what the scripts in ops/ keep for
# each other. The script that reads this file defines refuse MESSAGE, which must not return.

# check_owner NAME DIRECTORY OWNER...: refuses a link, and the directory of a user other than
# this one, root, and the OWNERs (ids). Whoever owns a directory can put a socket of his own in
# the place of a worker's, whatever its mode says; a link can lead elsewhere the next time.
check_owner() {
    checked_name=$1 checked_directory=$2
    shift 2
    if [ -L "$checked_directory" ]; then
        refuse "$checked_name is \"$checked_directory\": that is a link, which could lead elsewhere the next time; name the directory itself"
    fi
    [ -e "$checked_directory" ] || return 0
    checked_owner=$(stat -c %u "$checked_directory")
    for trusted in 0 "$(id -u)" "$@"; do
        [ "$checked_owner" != "$trusted" ] || return 0
    done
    refuse "$checked_name is \"$checked_directory\": that belongs to another user (id $checked_owner), who could replace the sockets in it; name a directory of your own, or a new one"
}
