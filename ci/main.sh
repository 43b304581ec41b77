#!/usr/bin/env bash
# The README's main command does what the README says: every request succeeds, without one 429.
set -euo pipefail
command=$(grep -m1 '^cargo run --release' README.md)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
set -x
$command --output "$folder/results.jsonl" --errors "$folder/errors.jsonl" --summary "$folder/summary.json"
grep -q '"failed": 0,' "$folder/summary.json"
grep -q '"rate_limited": 0,' "$folder/summary.json"
test "$(wc -l <"$folder/results.jsonl")" = "$(wc -l <examples/requests.jsonl)"
