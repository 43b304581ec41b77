"""The official Python client, sync and async, keeps its limits through `paceline serve`.

Takes the path of the command; starts a simulator with limits and a gateway before it, and ends with status 1 when a
check fails. The clients have their own retries and time-outs, and none of them may see a 429."""

import asyncio
import os
import re
import subprocess
import sys
import threading

import openai

ASK = [{"role": "user", "content": "Say something."}]
SYNC, ASYNC = 10, 30


class Command:
    def __init__(self, *arguments, **environment):
        command = [sys.argv[1], *arguments]
        environment = {**os.environ, **environment}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.status = self.process.wait()


def calls(url):
    """How each call ended, sync and async, all at once."""
    ended = []
    barrier = threading.Barrier(SYNC + 1)

    def call():
        client = openai.OpenAI(base_url=url, api_key="callers")
        barrier.wait()
        try:
            raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=ASK, max_tokens=20)
            ended.append((raw.retries_taken, bool(raw.parse().choices[0].message.content)))
        except Exception as error:  # noqa: BLE001: each end is told of
            ended.append(repr(error))

    async def stream(client):
        pieces = await client.chat.completions.create(model="gpt-4o", messages=ASK, max_tokens=20, stream=True)
        return "".join([piece.choices[0].delta.content or "" async for piece in pieces if piece.choices])

    async def all_async():
        async with openai.AsyncOpenAI(base_url=url, api_key="callers") as client:
            return await asyncio.gather(*(stream(client) for _ in range(ASYNC)), return_exceptions=True)

    threads = [threading.Thread(target=call) for _ in range(SYNC)]
    for thread in threads:
        thread.start()
    barrier.wait()
    streamed = asyncio.run(all_async())
    for thread in threads:
        thread.join()
    return ended, streamed


def main():
    # 40 requests at 10 a second after a burst of 10: 3 s, and no call may fail or be retried.
    with Command("simulate", "--port", "0", "--latency", "0.05", "--rpm", "600", "--burst-seconds", "1") as simulator:
        with Command("serve", "--listen", "127.0.0.1:0", "--base-url", simulator.url, "--rpm", "600", "--burst-seconds", "1", OPENAI_API_KEY="providers") as gateway:
            ended, streamed = calls(gateway.url)
            client = openai.OpenAI(base_url=gateway.url, api_key="callers", max_retries=0)
            assert list(client.models.list())
            try:
                client.chat.completions.create(model="gpt-4o", messages=[])
            except openai.BadRequestError as error:
                assert error.message, error
            else:
                raise AssertionError("no BadRequestError")
    failed = [end for end in ended if end != (0, True)] + [text for text in streamed if not isinstance(text, str) or not text]
    if failed or gateway.status != 0:
        print("FAILED", failed, gateway.status)
        sys.exit(1)
    print("ok    ", len(ended), "sync calls and", len(streamed), "async streams through the gateway")


main()
