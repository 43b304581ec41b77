#!/usr/bin/env bash
# Every example runs, without a key and without a network.
set -euo pipefail
unset OPENAI_API_KEY OPENAI_BASE_URL
for example in examples/*.rs; do
    name=$(basename "$example" .rs)
    echo "-- $name"
    cargo run --locked --quiet --all-features --example "$name"
done
