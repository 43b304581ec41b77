#!/usr/bin/env bash
# The documentation builds without a warning, with all features and with those of a default build.
set -euo pipefail
export RUSTDOCFLAGS='-D warnings'
cargo doc --locked --no-deps --all-features
cargo doc --locked --no-deps
cargo doc --locked --no-deps --no-default-features
