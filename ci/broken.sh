#!/usr/bin/env bash
# Each rule of the limiter's waiting is broken once, in a copy, and the model that holds it fails.
# ci/model.sh shows that it passes when nothing is broken.
set -euo pipefail
root=$PWD/target/broken
# A folder of its own: cargo takes what is built of the copy for what is built here.
export RUSTFLAGS='--cfg paceline_loom' CARGO_TARGET_DIR=$root/target
export GIT_CEILING_DIRECTORIES=$root # the copy is no part of this repository

fail() {
    cat "$2"
    echo "ci/broken/$name.patch: $1" >&2
    exit 1
}

rm -rf "$root"
mkdir -p "$root/tree"
git ls-files -z | tar --null -T - -cf - | tar -xmf - -C "$root/tree"
patches=("$PWD"/ci/broken/*.patch)
cd "$root/tree"

for patch in "${patches[@]}"; do
    name=$(basename "$patch" .patch)
    model=$(sed -n 's/^model: //p' "$patch")
    git apply "$patch" 2>"$root/apply" || fail 'does not apply any more' "$root/apply"
    cargo test --locked --lib --no-default-features --no-run >"$root/build" 2>&1 || fail 'does not build' "$root/build"
    binary=$(sed -n 's/.*Executable.*(\(.*\))$/\1/p' "$root/build")

    status=0
    { timeout 60 "$binary" --exact "limiter::tests::model::$model" >"$root/run" 2>&1 || status=$?; } 2>/dev/null
    why=$(grep -A1 -m1 'panicked at' "$root/run" | tail -n 1) || true
    case $status in
    0) fail "$model does not see it, or is not there" "$root/run" ;;
    124) fail "$model hangs, where loom should have seen a deadlock" "$root/run" ;;
    esac
    [ -n "$why" ] || fail "$model ends without saying why" "$root/run"
    echo "$name: $model: ${why%%;*}"
    git apply --reverse "$patch"
done
echo "each of the ${#patches[@]} broken rules is seen"
