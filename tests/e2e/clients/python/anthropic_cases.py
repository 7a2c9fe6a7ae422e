"""The helpers of Anthropic's client."""

import anthropic
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: float


def cases(url):
    client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=20)

    def ask(content, **more):
        return {"model": "mock", "max_tokens": 1000, "messages": [{"role": "user", "content": content}], **more}

    def text():
        assert client.messages.create(**ask("hello")).content[0].text == "hello"

    def stream():
        with client.messages.stream(**ask("one two")) as events:
            assert list(events.text_stream) == ["one", " two"]
            assert events.get_final_message().stop_reason == "end_turn"

    def parse():
        assert client.messages.parse(**ask("weather", output_format=Weather)).parsed_output == Weather(
            city="city", degrees=1
        )

    def tool_runner():
        asked = []

        @anthropic.beta_tool
        def get_weather(city: str) -> str:
            """The weather of a city.

            Args:
                city: Which one.
            """
            asked.append(city)
            return "rain in " + city

        prompt = '/call get_weather {"city":"Oslo"}\n/call get_weather {"city":"Bergen"}'
        messages = list(client.beta.messages.tool_runner(**ask(prompt, tools=[get_weather])))
        assert asked == ["Oslo", "Bergen"], asked
        assert messages[-1].content[0].text == "rain in Bergen"

    def count():
        tools = [{"name": "get_weather", "input_schema": {"type": "object"}}]
        without = client.messages.count_tokens(model="mock", messages=ask("hello")["messages"]).input_tokens
        assert without == 1
        assert client.messages.count_tokens(model="mock", messages=ask("hello")["messages"], tools=tools).input_tokens

    def models():
        assert [model.id for model in client.models.list()] == ["mock"]

    return [text, stream, parse, tool_runner, count, models]
