#!/usr/bin/env bash
# Every example runs, without a key and without a network; their own tests pass; none is longer than 120 lines.
set -euo pipefail
unset OPENAI_API_KEY OPENAI_BASE_URL
for example in examples/*.rs; do
    name=$(basename "$example" .rs)
    echo "-- $name"
    cargo run --locked --quiet --all-features --example "$name"
done
cargo test --locked --quiet --all-features --examples
for example in examples/*.rs; do
    lines=$(wc -l <"$example")
    [ "$lines" -le 120 ] || { echo "$example has $lines lines" >&2; exit 1; }
done
