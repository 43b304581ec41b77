#!/usr/bin/env bash
# Every interleaving of a few threads in the limiter's line and its alarm clock, tried by loom.
# One model at a time: loom makes a stack for each thread of each try, which two at once fight for.
set -euo pipefail
RUSTFLAGS='--cfg paceline_loom' cargo test --locked --lib --no-default-features \
    --target-dir target/model model:: -- --test-threads=1
