#!/usr/bin/env bash
# The oldest Rust that is promised builds the crate, and no dependency asks for a newer one.
set -euo pipefail
promised=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
cargo metadata --locked --format-version 1 --all-features | python3 -c '
import json, sys

promised = sys.argv[1]
def parts(version):
    return [int(part) for part in version.split(".")[:2]]

metadata = json.load(sys.stdin)
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
packages = {package["id"]: package for package in metadata["packages"]}
# What a user builds: no development dependencies, and none of the model checker.
todo, seen = [metadata["resolve"]["root"]], set()
while todo:
    at = todo.pop()
    if at in seen:
        continue
    seen.add(at)
    for dependency in nodes[at]["deps"]:
        kinds = dependency["dep_kinds"]
        if any(kind["kind"] != "dev" and "loom" not in (kind["target"] or "") for kind in kinds):
            todo.append(dependency["pkg"])
newer = [
    (packages[id]["name"], packages[id]["version"], packages[id]["rust_version"])
    for id in seen
    if packages[id]["rust_version"] and parts(packages[id]["rust_version"]) > parts(promised)
]
for name, version, wants in newer:
    print(f"{name} {version} wants Rust {wants}; {promised} is promised", file=sys.stderr)
print(f"{len(seen) - 1} crates, none wants more than Rust {promised}" if not newer else "")
sys.exit(bool(newer))
' "$promised"

if ! rustup toolchain list 2>/dev/null | grep -q "^$promised"; then
    if [ "${CI:-}" != true ]; then
        echo "Rust $promised is not installed: not built with it (rustup toolchain install $promised)"
        exit 0
    fi
    rustup toolchain install "$promised" --profile minimal
fi
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/msrv}" cargo "+$promised" check --locked --quiet --all-features --lib --bins
echo "builds with Rust $promised"
