#!/usr/bin/env bash
# Formatting, lints, documentation and, where cargo-deny is at hand, the supply chain.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
source scripts/packages.sh

run() {
    echo "== $*"
    "$@" </dev/null
}

run cargo fmt --all --check
run cargo clippy --workspace --all-targets -- -D warnings
if [ -f tests/tests/full_size.rs ]; then
    # Not part of --all-targets: its manifest entry says `test = false`.
    run cargo clippy --workspace --test full_size -- -D warnings
fi
RUSTDOCFLAGS='-D warnings' run cargo doc --no-deps --workspace --quiet

if ! cargo deny --version >/dev/null 2>&1 && is_apt_system && root_prefix >/dev/null &&
    [ -n "$(LC_ALL=C apt-cache policy cargo-deny 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)"')" ]; then
    apt_get install --no-install-recommends cargo-deny || true
fi
if cargo deny --version >/dev/null 2>&1; then
    run cargo deny check licenses bans sources
    if cargo deny fetch db >/dev/null 2>&1; then
        run cargo deny check advisories
    else
        say 'cargo-deny: the advisory database could not be fetched; advisories were NOT checked'
    fi
else
    say 'cargo-deny is not installed; advisories were NOT checked (licences, bans and sources are tested by `make test`)'
fi
