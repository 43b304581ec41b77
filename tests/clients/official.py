"""The official clients get from `paceline simulate` what they expect.

Takes the path of the command; starts a simulator for each dialect, and ends with status 1 when a
check fails. Every check is one call of a client, read back through the client's own types."""

import asyncio
import os
import re
import subprocess
import sys

import anthropic
import openai
from pydantic import BaseModel

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Simulator:
    def __init__(self, *flags):
        self.flags = flags

    def __enter__(self):
        command = [sys.argv[1], "simulate", "--port", "0", "--latency", "0", *self.flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()
        return self.url

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Review(BaseModel):
    mood: str
    stars: int
    tags: list[str]


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASK = [{"role": "user", "content": "Say something."}]


@check
def chat(client):
    answer = client.chat.completions.create(model="gpt-4o", messages=ASK, n=2, logprobs=True, top_logprobs=2)
    assert len(answer.choices) == 2 and answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.choices[0].logprobs.content[0].top_logprobs


@check
def chat_stream(client):
    stream = client.chat.completions.create(
        model="gpt-4o", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens > 0


@check
def chat_stream_helper(client):
    with client.chat.completions.stream(model="gpt-4o", messages=ASK) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content


@check
def tools(client):
    messages = list(ASK)
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL], max_completion_tokens=100)
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "weather" and answer.choices[0].finish_reason == "tool_calls"
    messages += [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL])
    assert answer.choices[0].message.content


@check
def structured_outputs(client):
    answer = client.chat.completions.parse(
        model="gpt-4o", messages=ASK, response_format=Review, max_completion_tokens=500
    )
    assert isinstance(answer.choices[0].message.parsed, Review)
    answer = client.responses.parse(model="gpt-4o", input="x", text_format=Review, max_output_tokens=500)
    assert isinstance(answer.output_parsed, Review)


@check
def responses(client):
    answer = client.responses.create(model="gpt-4o", input="Say something.")
    assert answer.output_text and answer.usage.total_tokens > 0
    with client.responses.stream(model="gpt-4o", input="Say something.", max_output_tokens=200) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text


@check
def completions(client):
    answer = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="x", logprobs=2)
    assert answer.choices[0].text and answer.choices[0].logprobs.tokens
    stream = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="x", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream)


@check
def embeddings(client):
    packed = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    plain = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], encoding_format="float")
    assert len(packed.data) == 2
    assert all(abs(a - b) < 1e-6 for a, b in zip(packed.data[1].embedding, plain.data[1].embedding))


@check
def moderations(client):
    assert client.moderations.create(input=["a", "b"]).results[1].flagged is False


@check
def models(client):
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    assert list(client.models.list())


@check
def errors(client):
    for error, call in [
        (openai.BadRequestError, lambda: client.chat.completions.create(model="gpt-4o", messages=[])),
        (openai.NotFoundError, lambda: client.audio.speech.create(model="tts-1", voice="alloy", input="x")),
    ]:
        try:
            call()
        except error as found:
            assert found.message, found
        else:
            raise AssertionError(f"no {error.__name__}")


@check
def from_async(client):
    async def both():
        async with openai.AsyncOpenAI(base_url=str(client.base_url), api_key="x", max_retries=0) as other:
            calls = [other.chat.completions.create(model="gpt-4o", messages=ASK) for _ in range(20)]
            return await asyncio.gather(*calls)

    assert all(answer.choices[0].message.content for answer in asyncio.run(both()))


def keys():
    os.environ["SIMULATED_KEY"] = "right"
    with Simulator("--api-key-env", "SIMULATED_KEY") as url:
        openai.OpenAI(base_url=url, api_key="right", max_retries=0).models.list()
        try:
            openai.OpenAI(base_url=url, api_key="wrong", max_retries=0).models.list()
        except openai.AuthenticationError as error:
            assert error.code == "invalid_api_key"
        else:
            raise AssertionError("no AuthenticationError")


def rate_limits():
    with Simulator("--rpm", "1") as url:
        client = openai.OpenAI(base_url=url, api_key="x", max_retries=0)
        client.chat.completions.create(model="gpt-4o", messages=ASK)
        try:
            client.chat.completions.create(model="gpt-4o", messages=ASK)
        except openai.RateLimitError as error:
            assert error.code == "rate_limit_exceeded" and error.response.headers["retry-after"]
        else:
            raise AssertionError("no RateLimitError")


def azure():
    with Simulator("--dialect", "azure") as url:
        client = openai.AzureOpenAI(
            azure_endpoint=url.removesuffix("/v1"), api_key="x", api_version="2024-10-21", max_retries=0
        )
        assert client.chat.completions.create(model="mine", messages=ASK).model == "mine"


def messages():
    with Simulator("--dialect", "anthropic") as url:
        client = anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key="x", max_retries=0)
        ask = {"model": "claude-sim", "max_tokens": 200, "messages": ASK}
        answer = client.messages.create(**ask)
        assert answer.content[0].text and answer.usage.output_tokens > 0
        with client.messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
            assert stream.get_final_message().content[0].text == text
        tool = {"name": "weather", "input_schema": TOOL["function"]["parameters"]}
        answer = client.messages.create(**ask, tools=[tool])
        assert answer.stop_reason == "tool_use" and answer.content[0].input["city"]
        with client.messages.stream(**ask, tools=[tool]) as stream:
            assert stream.get_final_message().content[0].input["city"]
        try:
            client.messages.create(model="claude-sim", max_tokens=5, messages=[])
        except anthropic.BadRequestError as error:
            assert error.body["error"]["type"] == "invalid_request_error"
        else:
            raise AssertionError("no BadRequestError")


def main():
    failed = 0
    with Simulator() as url:
        client = openai.OpenAI(base_url=url, api_key="x", max_retries=0)
        runs = [(function.__name__, lambda function=function: function(client)) for function in CHECKS]
        runs += [(function.__name__, function) for function in (keys, rate_limits, azure, messages)]
        for name, run in runs:
            try:
                run()
                print("ok    ", name)
            except Exception as error:  # noqa: BLE001: each check is told of, whatever it ends by
                failed += 1
                print("FAILED", name, repr(error)[:2000])
    sys.exit(1 if failed else 0)


main()
