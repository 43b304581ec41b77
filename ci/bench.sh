#!/usr/bin/env bash
# The benchmarks of an acquire and of a line run. A quick look, no figure to quote.
set -euo pipefail
cargo bench --locked --no-default-features --bench acquire -- --quick
cargo bench --locked --no-default-features --bench line -- --quick
