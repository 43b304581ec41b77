"""Clients that stand on the official ones get from `paceline simulate` what they expect.

Takes the path of the command. Langchain's standard tests are run by pytest, so all of it is."""

import os
import re
import subprocess
import sys

import instructor
import litellm
import openai
import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from pydantic import BaseModel

URL = os.environ.get("SIMULATED_URL", "")
ASK = [{"role": "user", "content": "Say something."}]


class Review(BaseModel):
    mood: str
    stars: int


def test_instructor():
    client = instructor.from_openai(openai.OpenAI(base_url=URL, api_key="x"))
    review = client.chat.completions.create(model="gpt-4o", messages=ASK, response_model=Review, max_tokens=300)
    assert isinstance(review, Review)


def test_litellm():
    ask = {"model": "openai/gpt-4o", "messages": ASK, "api_base": URL, "api_key": "x"}
    answer = litellm.completion(**ask)
    assert answer.choices[0].message.content and answer.usage.total_tokens > 0
    pieces = litellm.completion(**ask, stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces)
    packed = litellm.embedding(model="openai/text-embedding-3-small", input=["a"], api_base=URL, api_key="x")
    assert packed.data


class TestChat(ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    chat_model_params = {"model": "gpt-4o", "base_url": URL, "api_key": "x", "max_tokens": 300, "stream_usage": True}


class TestEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = OpenAIEmbeddings
    embedding_model_params = {"model": "text-embedding-3-small", "base_url": URL, "api_key": "x", "check_embedding_ctx_length": False}


def main():
    command = [sys.argv[1], "simulate", "--port", "0", "--latency", "0"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = re.search(r"http://\S+", simulator.stdout.readline()).group()
        os.environ["SIMULATED_URL"] = url
        os.environ["OPENAI_API_KEY"] = "x"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", __file__]
        return subprocess.run(command).returncode
    finally:
        simulator.terminate()
        simulator.wait()


if __name__ == "__main__":
    sys.exit(main())
