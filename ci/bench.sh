#!/usr/bin/env bash
# The benchmark of an acquire runs. A quick look, no figure to quote.
set -euo pipefail
cargo bench --locked --no-default-features --bench acquire -- --quick
