#!/usr/bin/env bash
# Every interleaving of a few threads in the limiter's line, tried by loom.
set -euo pipefail
RUSTFLAGS='--cfg paceline_loom' cargo test --locked --release --lib --no-default-features \
    --target-dir target/model model::
