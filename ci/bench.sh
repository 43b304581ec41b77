#!/usr/bin/env bash
# The benchmarks of an acquire, of a line, of a batch run and of shared limits. A quick look, no figure to quote.
set -euo pipefail
cargo bench --locked --no-default-features --bench acquire -- --quick
cargo bench --locked --no-default-features --bench line -- --quick
cargo bench --locked --all-features --bench batch -- --quick
cargo bench --locked --no-default-features --features redis --bench shared -- --quick
