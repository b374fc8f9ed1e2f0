#!/usr/bin/env bash
# What tests call besides cargo: spirv-val, node with npm (portability), and Chromium (the viewer's page). Installed where
# missing and allowed; Chromium takes some 400 MB.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

missing=()
command -v spirv-val >/dev/null 2>&1 || missing+=(spirv-tools)
command -v node >/dev/null 2>&1 || missing+=(nodejs)
command -v npm >/dev/null 2>&1 || missing+=(npm)
found_browser() {
    local name
    for name in "${SYNCLINE_CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then return 0; fi
    done
    return 1
}
found_browser || missing+=(chromium)
[ ${#missing[@]} = 0 ] && exit 0

if ! is_apt_system; then
    say "please install with this system's package manager: ${missing[*]}"
    exit 1
fi
if ! root_prefix >/dev/null; then
    explain_install 'a tool of the tests' "${missing[@]}"
    exit 1
fi
say "installing for the tests: ${missing[*]}"
apt_refresh
apt_get install --no-install-recommends "${missing[@]}"
