#!/usr/bin/env bash
# No warning in any set of features: none, each alone, all together.
set -euo pipefail
for features in '' serde providers ureq tokens client batch schemars sim gateway redis cli cli,redis; do
    cargo clippy --locked --lib --bins --tests --no-default-features --features "$features" -- -D warnings
done
cargo clippy --locked --all-targets --all-features -- -D warnings
