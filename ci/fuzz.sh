#!/usr/bin/env bash
# Replays the corpus of every parser, and half a minute of inputs that are made of it at random. Where the
# toolchain has cargo-fuzz, PACELINE_LONG=1 fuzzes each target for ten minutes more.
set -euo pipefail
export PACELINE_FUZZ_SECONDS=${PACELINE_FUZZ_SECONDS:-30} PACELINE_FUZZ_SEED=${PACELINE_FUZZ_SEED:-$(date +%j)}
echo "seed $PACELINE_FUZZ_SEED"
cargo test --locked --all-features --lib fuzz::
if [ "${PACELINE_LONG:-}" = 1 ]; then
    if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
        echo 'cargo-fuzz or a nightly toolchain is missing: no long fuzzing (cargo install cargo-fuzz)'
        exit 0
    fi
    for target in tests/fuzz/corpus/*/; do
        name=$(basename "$target")
        cargo +nightly fuzz run "$name" "fuzz/corpus/$name" "$target" -- -max_total_time=600 -max_len=8192
    done
fi
