# shellcheck shell=bash disable=SC2154  # what stack.sh defines
# ops/deploy with containers: a second container of the service `server` starts beside the
# first, on the same volume of sockets, and takes them over. docker compose makes it, so that
# `docker compose ps`, `logs` and `up` go on to know it.

KEPT=3 # images that are kept for going back to, by name

# Prints the ids of the server's containers, running or not.
server_containers() { compose ps --all --quiet server; }

# shellcheck disable=SC2034  # read by the steps
deploy_docker() {
    local timeout=$1 build=$2 tag=$3 previous=$4
    steps=6
    old=$(server_containers)
    [[ -n $old ]] || fail "the server has no container; ops/up starts the stack"
    [[ $old != *$'\n'* ]] ||
        fail "the server has more than one container, left over from a deployment that was killed: remove the one that does not serve (docker compose ps, docker rm --force)"
    image=$(compose config --images server)
    [[ ${image##*/} == *:* ]] || image=$image:latest
    if [[ -n $previous ]]; then
        tag=${image##*:}-previous
        docker image inspect "$image-previous" >/dev/null 2>&1 || fail "there is nothing to go back to: no image $image-previous"
    fi
    running_id=$(docker inspect --format '{{.Image}}' "$old")
    before_id=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null) || before_id=$running_id

    new=
    trap 'give_up_docker 130 "interrupted"' INT
    trap 'give_up_docker 143 "ended"' TERM HUP
    trap 'give_up_docker $?' EXIT
    choose_image "$build" "$tag"
    start_beside
    try_new "$timeout"
    # From here on the new ones serve: whatever happens, it is finished.
    trap '' INT TERM HUP
    trap - EXIT
    take_over
    tell_nginx
    retire_old
    name_images
    say "Deployed: $image is served by container ${new:0:12}."
    warn_of_nginx
}

choose_image() {
    step "the image $image"
    if [[ -n $1 ]]; then
        compose build --quiet server >&2 || fail "the image was not built; the message is above"
    elif [[ -n $2 ]]; then
        docker image inspect "${image%:*}:$2" >/dev/null 2>&1 || fail "there is no image ${image%:*}:$2; docker image ls ${image%:*} lists them"
        docker tag "${image%:*}:$2" "$image"
    fi
    new_id=$(docker image inspect --format '{{.Id}}' "$image") || fail "there is no image $image; --build makes it"
    done_step "${new_id:7:12}"
}

start_beside() {
    step "a new container beside ${old:0:12}"
    local message
    message=$(compose up --detach --no-build --no-deps --no-recreate --scale server=2 server 2>&1) || {
        printf '\n%s\n' "$message" >&2
        new=$(server_containers | grep -vx "$old") || true
        fail "the new container did not start; the message is above"
    }
    new=$(server_containers | grep -vx "$old") || fail "docker compose made no second container"
    done_step "${new:0:12}"
}

try_new() {
    step "its workers answer"
    local answers
    if ! answers=$(docker exec "$new" "$IMAGE_PYTHON" -P -m bascule_ops.supervision.trial try --timeout "$1" 2>&1); then
        printf '\n%s: the new container is not ready: %s\n' "$program" "$answers" >&2
        printf 'Its last lines:\n' >&2
        docker logs --tail 40 "$new" 2>&1 | grep -v '"event": *"request"' | tail -n 15 | sed 's/^/  /' >&2 || true
        exit 1
    fi
    done_step "$(wc -l <<<"$answers" | tr -d ' ') of them"
}

take_over() {
    step "they take the sockets over"
    # One of the old workers that is started again from now on must not take a socket back.
    docker exec "$old" python3 -c 'open("/run/supervisor/hold", "w")'
    docker exec "$new" "$IMAGE_PYTHON" -P -m bascule_ops.supervision.trial release >/dev/null || {
        say ''
        printf '%s: the take-over is incomplete; container %s still serves the rest. Try again, or remove %s.\n' \
            "$program" "${old:0:12}" "${new:0:12}" >&2
        exit 1
    }
    done_step ''
}

tell_nginx() {
    local result
    step "nginx learns how many they are"
    result=$(compose exec -T nginx /docker-entrypoint.sh reload) || {
        result='not reloaded'
        printf '\n%s: nginx could not be reloaded; restart it: docker compose restart nginx\n' "$program" >&2
    }
    done_step "$result"
}

retire_old() {
    step "${old:0:12} finishes what it has"
    docker stop "$old" >/dev/null
    local status
    status=$(docker inspect --format '{{.State.ExitCode}}' "$old")
    docker rm "$old" >/dev/null
    if ((status == 0)); then
        done_step ''
    else
        done_step "exit status $status: requests were cut short"
    fi
}

# Whoever is to be gone back to keeps a name; older ones lose theirs, and go with it.
name_images() {
    local names name
    [[ $running_id == "$new_id" ]] || docker tag "$running_id" "$image-previous"
    docker tag "$new_id" "$image-deployed-$(date -u +%Y%m%d-%H%M%S)"
    names=$(docker image ls --filter "reference=$image-deployed-*" --format '{{.Repository}}:{{.Tag}}' | sort -r | tail -n "+$((KEPT + 1))")
    for name in $names; do docker image rm "$name" >/dev/null || true; done
}

# give_up_docker STATUS [WHY]: the old container has not noticed anything, and will not.
give_up_docker() {
    trap - INT TERM HUP EXIT
    [[ -z ${2:-} ]] || printf '\n%s: %s\n' "$program" "$2" >&2
    # An interrupt may have come between the container's start and our knowing of it.
    [[ -n $new ]] || new=$(server_containers | grep -vx "$old") || true
    if [[ -n $new ]]; then
        docker rm --force "$new" >/dev/null
    fi
    docker tag "$before_id" "$image"
    say "Nothing has changed: container ${old:0:12} serves." >&2
    exit "$1"
}

# What cannot be done without a gap is not done, but said.
warn_of_nginx() {
    local container runs wanted
    container=$(compose ps --quiet nginx)
    [[ -n $container ]] || return 0
    runs=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.config-hash"}} {{.Image}}' "$container")
    wanted="$(compose config --hash nginx | cut -d ' ' -f 2) $(docker image inspect --format '{{.Id}}' "$(docker inspect --format '{{.Config.Image}}' "$container")")"
    [[ $runs == "$wanted" ]] || say "Note: nginx's own settings or its image have changed as well. They need a new container of nginx, and for
about a second nobody answers on its port: docker compose up --detach --no-deps nginx"
}
