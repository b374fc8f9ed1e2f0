# Sourced by the other scripts: installing system packages where that is allowed.
# shellcheck shell=bash

say() { printf 'syncline: %s\n' "$*" >&2; }

# Prints the prefix that gives root rights (empty for root itself), or fails where there are none without a password.
root_prefix() {
    if [ "$(id -u)" = 0 ]; then return 0; fi
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        echo 'sudo -n'
        return 0
    fi
    return 1
}

# The command an administrator would type to get the given packages; $1 is what for.
explain_install() {
    local what=$1
    shift
    say "$what is missing, and this user may not install it. Please run:"
    printf '\n    sudo apt-get update && sudo apt-get install -y %s\n\n' "$*" >&2
}

# apt_get ARGS...: as root, without questions, waiting for another apt to finish. Progress goes to stderr.
apt_get() {
    local prefix
    prefix=$(root_prefix) || return 1
    # shellcheck disable=SC2086 # the prefix is two words or none
    $prefix env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        "$@" </dev/null >&2
}

# `apt-get update` fails when any one source is unreachable, ours may still be fine: the install decides.
apt_refresh() { apt_get update || say 'apt-get update reported problems; going on with what it got'; }

is_apt_system() { command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; }
