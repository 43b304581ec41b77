"""Counts the messages of a batch file, or a text, with tiktoken; prints nanoseconds, and the tokens of
a batch.

Only `encode_ordinary` is timed. The overhead of the chat format, which the sum of a plan has in it,
is added afterwards: 3 for each message, 3 for each request, and the role.
"""

import json
import sys
import time

import tiktoken
from tiktoken.load import load_tiktoken_bpe
from tiktoken_ext import openai_public

ranks, file = sys.argv[1:]
openai_public.load_tiktoken_bpe = lambda *_, **__: load_tiktoken_bpe(ranks)
encoding = tiktoken.Encoding(**openai_public.o200k_base())
encode = encoding.encode_ordinary

tokens = nanoseconds = 0
with open(file, encoding="utf-8", newline="\n") as lines:
    if file.endswith(".jsonl"):
        for line in lines:
            messages = json.loads(line)["body"]["messages"]
            texts = [text for message in messages for text in (message["role"], message["content"])]
            started = time.perf_counter_ns()
            for text in texts:
                tokens += len(encode(text))
            nanoseconds += time.perf_counter_ns() - started
            tokens += 3 * len(messages) + 3
    else:
        # A text of a gigabyte as one string is more than it can take. Parts have a sum of their own.
        while text := lines.readlines(1_000_000):
            text = "".join(text)
            started = time.perf_counter_ns()
            encode(text)
            nanoseconds += time.perf_counter_ns() - started
print(nanoseconds, tokens or "")
