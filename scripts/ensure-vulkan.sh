#!/usr/bin/env bash
# Makes sure that a Vulkan adapter computes correctly on this machine: a GPU's, or Mesa's lavapipe on the CPU.
# usage: ensure-vulkan.sh [--release]     (the profile in which the probe is built)
# Linux only does something here; macOS has Metal and Windows DX12.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

[ "$(uname -s)" = Linux ] || exit 0

profile=("$@")
# Where the release's own Mesa is older than this (Debian 12 has 22.3), a fresh install comes from its backports: all
# measurements of the project were made on newer ones. A driver that is already there stays if the probe computes on it.
oldest_mesa=23.1

driver_files_exist() {
    local dir
    [ -n "${VK_ICD_FILENAMES:-}${VK_DRIVER_FILES:-}" ] && return 0
    for dir in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d /usr/local/etc/vulkan/icd.d \
        "${XDG_DATA_HOME:-${HOME:-/root}/.local/share}/vulkan/icd.d"; do
        compgen -G "$dir/*.json" >/dev/null && return 0
    done
    # NixOS
    compgen -G '/run/opengl-driver/share/vulkan/icd.d/*.json' >/dev/null
}

loader_exists() {
    { /sbin/ldconfig -p 2>/dev/null || ldconfig -p 2>/dev/null || true; } | grep -F 'libvulkan.so.1' >/dev/null && return 0
    local IFS=: dir
    for dir in ${LD_LIBRARY_PATH:-}; do [ -e "$dir/libvulkan.so.1" ] && return 0; done
    return 1
}

# Runs the probe, which says on one line which adapter computed. Exit status 5: none did.
probe() { cargo run --quiet "${profile[@]}" --example adapter; }

candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }
new_enough() { [ -n "$1" ] && dpkg --compare-versions "$1" ge "$oldest_mesa"; }

# Adds <codename>-backports from the mirror the machine already uses, once.
add_backports() {
    local codename=$1 mirror line
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
        awk -v c="$codename" '$2 == c { print $1; exit }')
    line="deb ${mirror:-http://deb.debian.org/debian} $codename-backports main"
    say "adding to /etc/apt/sources.list.d/syncline-backports.list: $line"
    # shellcheck disable=SC2046 # the prefix is two words or none
    echo "$line" | $(root_prefix) tee /etc/apt/sources.list.d/syncline-backports.list >/dev/null
    apt_refresh
}

install_lavapipe() {
    local codename='' id='' from=()
    if ! is_apt_system; then
        say 'no Vulkan driver found. Install one and run this again, for example'
        printf '\n    Fedora:  sudo dnf install vulkan-loader mesa-vulkan-drivers\n' >&2
        printf '    Arch:    sudo pacman -S vulkan-icd-loader vulkan-swrast\n' >&2
        printf '    openSUSE: sudo zypper install libvulkan1 Mesa-vulkan-device-select libvulkan_lvp\n\n' >&2
        exit 5
    fi
    id=$(. /etc/os-release && echo "${ID:-}")
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    if ! root_prefix >/dev/null; then
        explain_install 'a working Vulkan driver' mesa-vulkan-drivers libvulkan1
        exit 5
    fi
    say 'installing a Vulkan driver (mesa-vulkan-drivers, libvulkan1)'
    apt_refresh
    if ! new_enough "$(candidate mesa-vulkan-drivers)" && [ "$id" = debian ] && [ -n "$codename" ]; then
        if ! LC_ALL=C apt-cache policy mesa-vulkan-drivers | grep -F -- "$codename-backports/" >/dev/null; then
            add_backports "$codename"
        fi
        from=(-t "$codename-backports")
    fi
    if [ ${#from[@]} -gt 0 ]; then
        apt_get install --no-install-recommends "${from[@]}" mesa-vulkan-drivers libvulkan1 && return
        say "$codename-backports could not provide it; taking the release's own"
    fi
    apt_get install --no-install-recommends mesa-vulkan-drivers libvulkan1
}

# Without a loader or a driver description there is nothing to ask: install before the long build, not after it.
if ! loader_exists || ! driver_files_exist; then
    install_lavapipe
fi

status=0
probe || status=$?
if [ "$status" = 0 ]; then exit 0; fi
# 5: no adapter; 8: wrong numbers; above 128: the driver crashed. Anything else is a failed build, not a driver.
if [ "$status" != 5 ] && [ "$status" != 8 ] && [ "$status" -le 128 ]; then exit "$status"; fi
install_lavapipe
probe || {
    say "a Vulkan driver is installed, but no adapter computes: see the message above, and 'vulkaninfo --summary'"
    exit 5
}
