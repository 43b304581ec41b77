#!/usr/bin/env bash
# The README's test command, and the tests of what is left without any feature.
set -euo pipefail
command=$(grep -m1 '^cargo test' README.md)
echo "$command"
$command
cargo test --locked --lib --no-default-features
