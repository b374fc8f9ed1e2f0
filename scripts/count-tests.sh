#!/usr/bin/env bash
# usage: count-tests.sh LOG     Adds up cargo's `test result:` lines: "N passed, N failed, N ignored in N suites".
set -euo pipefail
awk '/^test result: / {
    suites += 1
    for (i = 1; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
        if ($(i + 1) == "ignored;") ignored += $i
    }
}
END { printf "%d passed, %d failed, %d ignored in %d suites\n", passed, failed, ignored, suites }' "$1"
