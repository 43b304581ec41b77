#!/usr/bin/env bash
# The official clients take the simulator for the API. Long mode adds those that stand on them.
set -euo pipefail
export PACELINE_LONG="${PACELINE_LONG:-}"
list=tests/clients/requirements.txt
[ -z "$PACELINE_LONG" ] || list=tests/clients/requirements-long.txt
folder="$PWD/target/clients"
if ! python3 -m pip install --quiet --upgrade --target "$folder" -r "$list"; then
    echo 'the official clients cannot be installed here: not checked (python3 -m pip is needed)'
    exit 0
fi
export PYTHONPATH="$folder"
cargo build --locked --all-features --bin paceline
python3 tests/clients/official.py target/debug/paceline
python3 tests/clients/gateway.py target/debug/paceline
if [ -n "$PACELINE_LONG" ]; then
    python3 tests/clients/others.py target/debug/paceline
fi
