#!/usr/bin/env bash
# The limiter builds for Windows and macOS, where the standard libraries of these targets are installed; every
# feature with `all`, which needs a C compiler for the target (ring is partly in C).
set -euo pipefail
features=(--no-default-features)
[ "${1:-}" != all ] || features=(--all-features)
for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
        cargo check --locked --quiet --target "$target" "${features[@]}"
        echo "$target: checked with ${features[*]}"
    else
        echo "$target: no standard library (rustup target add $target)"
    fi
done
