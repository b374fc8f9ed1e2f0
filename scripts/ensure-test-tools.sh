#!/usr/bin/env bash
# What the portability tests call besides cargo: spirv-val, and node with npm. Installed where missing and allowed.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

missing=()
command -v spirv-val >/dev/null 2>&1 || missing+=(spirv-tools)
command -v node >/dev/null 2>&1 || missing+=(nodejs)
command -v npm >/dev/null 2>&1 || missing+=(npm)
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
