"""Instructor over both APIs."""

from collections.abc import Iterable

import anthropic
import instructor
import openai
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: float


def cases(url):
    openai_client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20)
    anthropic_client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=20)
    ask = {"model": "mock", "messages": [{"role": "user", "content": "weather"}], "max_retries": 0}
    made = {"city": "city", "degrees": 1}

    def openai_tools():
        client = instructor.from_openai(openai_client, mode=instructor.Mode.TOOLS)
        assert client.chat.completions.create(**ask, response_model=Weather).model_dump() == made

    def openai_json_schema():
        client = instructor.from_openai(openai_client, mode=instructor.Mode.JSON_SCHEMA)
        assert client.chat.completions.create(**ask, response_model=Weather).model_dump() == made

    def openai_partial():
        client = instructor.from_openai(openai_client, mode=instructor.Mode.TOOLS)
        parts = list(client.chat.completions.create_partial(**ask, response_model=Weather))
        assert parts[-1].model_dump() == made

    def openai_iterable():
        client = instructor.from_openai(openai_client, mode=instructor.Mode.TOOLS)
        many = client.chat.completions.create(**ask, response_model=Iterable[Weather])
        assert [one.model_dump() for one in many] == [made]

    def anthropic_tools():
        client = instructor.from_anthropic(anthropic_client, mode=instructor.Mode.ANTHROPIC_TOOLS)
        assert client.chat.completions.create(**ask, max_tokens=1000, response_model=Weather).model_dump() == made

    return [openai_tools, openai_json_schema, openai_partial, openai_iterable, anthropic_tools]
