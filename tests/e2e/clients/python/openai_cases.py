"""The helpers of OpenAI's client."""

import json

import openai
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: float


class GetWeather(BaseModel):
    city: str


def cases(url):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20)

    def ask(content, **more):
        return {"model": "mock", "messages": [{"role": "user", "content": content}], **more}

    def text():
        answer = client.chat.completions.create(**ask("hello"))
        assert answer.choices[0].message.content == "hello"

    def stream():
        with client.chat.completions.stream(**ask("one two")) as events:
            kinds = [event.type for event in events]
            assert kinds[-1] == "content.done", kinds
            assert events.get_final_completion().choices[0].message.content == "one two"

    def parse():
        answer = client.chat.completions.parse(**ask("weather", response_format=Weather))
        assert answer.choices[0].message.parsed == Weather(city="city", degrees=1)

    def stream_parsed():
        with client.chat.completions.stream(**ask("weather", response_format=Weather)) as events:
            assert events.get_final_completion().choices[0].message.parsed == Weather(city="city", degrees=1)

    def tool_round_trip():
        tools = [openai.pydantic_function_tool(GetWeather)]
        first = ask('/call GetWeather {"city":"Oslo"}', tools=tools)
        message = client.chat.completions.parse(**first).choices[0].message
        call = message.tool_calls[0]
        assert call.function.parsed_arguments == GetWeather(city="Oslo")
        history = [*first["messages"], message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
        answer = client.chat.completions.create(model="mock", messages=history, tools=tools)
        assert answer.choices[0].message.content == "rain"

    def streamed_tool():
        with client.chat.completions.stream(
            **ask("x", tools=[openai.pydantic_function_tool(GetWeather)], tool_choice="required")
        ) as events:
            call = events.get_final_completion().choices[0].message.tool_calls[0]
            assert json.loads(call.function.arguments) == {"city": "city"}

    def embeddings():
        one, other = client.embeddings.create(model="mock", input=["hello", "hello"], dimensions=8).data
        assert one.embedding == other.embedding and len(one.embedding) == 8

    def responses():
        assert client.responses.create(model="mock", input="hello").output_text == "hello"
        with client.responses.stream(model="mock", input="one two") as events:
            kinds = [event.type for event in events]
            assert kinds[-1] == "response.completed", kinds
            assert events.get_final_response().output_text == "one two"
        parsed = client.responses.parse(model="mock", input="weather", text_format=Weather)
        assert parsed.output_parsed == Weather(city="city", degrees=1)

    return [text, stream, parse, stream_parsed, tool_round_trip, streamed_tool, embeddings, responses]
