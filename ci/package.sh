#!/usr/bin/env bash
# The crate as a registry would take it: it builds from its own files, is small, and its links lead somewhere.
set -euo pipefail
# Packed, in bytes: the vocabularies are 1.7 MB of it.
most=2500000

cargo package --locked --allow-dirty --no-verify --quiet
crate=$(ls -t target/package/paceline-*.crate | head -n 1)
size=$(stat -c %s "$crate")
echo "$(basename "$crate"): $size bytes"
if [ "$size" -gt "$most" ]; then
    echo "the packed crate is larger than $most bytes; see 'include' in Cargo.toml" >&2
    exit 1
fi

files=$(tar -tzf "$crate" | sed 's|^[^/]*/||')
for page in README.md docs/*.md; do
    folder=$(dirname "$page")
    # Links to files, without those to places in the same page and to the web.
    { grep -oE '\]\([^)#:]+[)#]' "$page" || true; } | sed 's/^](//; s/[)#]$//' | while read -r link; do
        target=$(realpath -m --relative-to=. "$folder/$link")
        if ! grep -qxF "$target" <<<"$files" && [ ! -d "$target" ]; then
            echo "$page: the link to $link leads to nothing in the package" >&2
            exit 1
        fi
    done
done

# From the packed files alone, with what a library user gets by default.
rm -rf target/package/unpacked
mkdir -p target/package/unpacked
tar -xzf "$crate" -C target/package/unpacked --strip-components 1
CARGO_TARGET_DIR=target cargo check --quiet --manifest-path target/package/unpacked/Cargo.toml --features cli
rm -rf target/package/unpacked

# Changes that break users, from the first release on: its tag is the baseline.
if baseline=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
    cargo semver-checks --version >/dev/null 2>&1 || cargo install --locked --quiet --root target/tools cargo-semver-checks
    PATH="$PWD/target/tools/bin:$PATH" cargo semver-checks --baseline-rev "$baseline"
else
    echo 'no release yet: nothing to compare the API with'
fi
