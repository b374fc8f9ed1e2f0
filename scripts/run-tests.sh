#!/usr/bin/env bash
# usage: run-tests.sh quick|long ...     Runs the named parts, every suite of each, and adds up their results.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0

run() {
    local started=$SECONDS
    echo "== $*"
    # Colours would hide the result lines from whoever counts them.
    CARGO_TERM_COLOR=never "$@" </dev/null 2>&1 | tee -a "$log" || status=1
    echo "== $((SECONDS - started)) s"
}

for part in "$@"; do
    case $part in
    quick) run cargo test --workspace --no-fail-fast ;;
    long)
        # Its manifest entry says `test = false`, so that the quick part leaves it out.
        if [ -f tests/tests/full_size.rs ]; then
            run cargo test --workspace --no-fail-fast --test full_size
        else
            echo '== long: this tree has no full-size tests (tests/tests/full_size.rs)'
        fi
        # Fifty kills, each followed by a run that goes on.
        run cargo test --workspace --no-fail-fast --test command_line -- --ignored
        ;;
    *)
        echo "unknown part: $part (quick, long)" >&2
        exit 2
        ;;
    esac
done

echo
scripts/count-tests.sh "$log"
exit "$status"
