#!/usr/bin/env bash
# No async runtime in any tree that a user gets; licences, sources and bans as deny.toml has them.
set -euo pipefail
runtimes='^(tokio|async-std|smol|async-executor|async-global-executor|futures-executor|hyper|reqwest|mio) '
for features in '' serde providers ureq tokens client batch schemars sim redis cli cli,redis; do
    tree=$(cargo tree --locked --edges normal,build --prefix none --no-default-features --features "$features")
    if grep -E "$runtimes" <<<"$tree"; then
        echo "an async runtime is in the tree of --features '$features'" >&2
        exit 1
    fi
    echo "--features '$features': $(sort -u <<<"$tree" | wc -l) crates, no async runtime"
done
# How long each takes to check from nothing, for docs/features.md: minutes, so only when asked for.
if [ "${1:-}" = --time ]; then
    for features in '' serde sim providers ureq tokens client gateway redis batch schemars cli; do
        folder=$(mktemp -d)
        began=$(date +%s)
        CARGO_TARGET_DIR=$folder cargo check --locked --quiet --no-default-features --features "$features"
        echo "--features '$features': $(($(date +%s) - began)) s to check from nothing"
        rm -rf "$folder"
    done
fi
export PATH="$PWD/target/tools/bin:$PATH"
if [ "${CI:-}" = true ] && ! cargo deny --version >/dev/null 2>&1; then
    cargo install --locked --quiet --root target/tools cargo-deny@0.20.2
fi
if cargo deny --version >/dev/null 2>&1; then
    cargo deny --all-features check --hide-inclusion-graph licenses bans sources
else
    echo 'cargo-deny is not installed: licences and sources are not checked (cargo install cargo-deny)'
fi
