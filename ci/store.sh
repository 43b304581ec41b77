#!/usr/bin/env bash
# Installs what the tests of shared limits need, where it is missing and Debian's packages can be had.
set -euo pipefail
if command -v redis-server >/dev/null && command -v openssl >/dev/null; then
    exit 0
fi
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
# Mirrors are away for a moment now and then.
for _ in 1 2 3; do
    "${as_root[@]}" apt-get update -qq || continue
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends redis-server openssl && exit 0
done
echo 'redis-server and openssl could not be installed' >&2
exit 1
