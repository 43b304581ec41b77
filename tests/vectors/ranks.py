"""Packs the rank files of the encodings for `src/tokens/counter/ranks.rs`.

    python3 tests/vectors/ranks.py o200k_base.tiktoken cl100k_base.tiktoken p50k_base.tiktoken

The rank files are the provider's; the package `tiktoken-rs` has them among its assets. In the packed
file each token has one byte for its length and then its bytes, in the order of the ranks; a rank
that is not used has the length 0. All of it is compressed by the
program `zstd`. The tokens of `r50k_base` are the first of
`p50k_base`.
"""

import base64
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).parents[2] / "src/tokens/counter/ranks"

for path in map(pathlib.Path, sys.argv[1:]):
    tokens = {}
    for line in path.read_bytes().splitlines():
        token, rank = line.split()
        tokens[int(rank)] = base64.b64decode(token)
    ranked = (tokens.get(rank, b"") for rank in range(max(tokens) + 1))
    packed = b"".join(bytes([len(token)]) + token for token in ranked)
    pack = ["zstd", "--quiet", "--ultra", "-22", "--stdout"]
    packed = subprocess.run(pack, input=packed, stdout=subprocess.PIPE, check=True).stdout
    (FOLDER / f"{path.stem}.zst").write_bytes(packed)
