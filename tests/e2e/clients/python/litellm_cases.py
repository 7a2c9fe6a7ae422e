"""LiteLLM over both APIs."""

import json

import litellm
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: float


tools = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


def cases(url):
    litellm.suppress_debug_info = True  # it prints
    routes = [
        {"model": "openai/mock", "api_base": f"{url}/v1"},
        {"model": "anthropic/mock", "api_base": url},
    ]

    def ask(route, content, **more):
        messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
        return litellm.completion(**route, messages=messages, api_key="none", max_retries=0, timeout=20, **more)

    def text():
        for route in routes:
            assert ask(route, "hello").choices[0].message.content == "hello"

    def stream():
        for route in routes:
            chunks = list(ask(route, "one two", stream=True))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"

    def tool_round_trip():
        for route in routes:
            prompt = {"role": "user", "content": '/call get_weather {"city":"Oslo"}'}
            message = ask(route, [prompt], tools=tools).choices[0].message
            call = message.tool_calls[0]
            assert json.loads(call.function.arguments) == {"city": "Oslo"}
            result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
            assert ask(route, [prompt, message.model_dump(), result], tools=tools).choices[0].message.content == "rain"

    def structured():
        for route in routes:
            made = ask(route, "weather", response_format=Weather).choices[0].message.content
            assert Weather.model_validate_json(made) == Weather(city="city", degrees=1)

    def embedding():
        route = {"model": "openai/mock", "api_base": f"{url}/v1", "api_key": "none"}
        one, other = litellm.embedding(**route, input=["hello", "hello"], encoding_format="float").data
        assert one["embedding"] == other["embedding"]

    def responses():
        route = {"model": "openai/mock", "api_base": f"{url}/v1", "api_key": "none"}
        assert litellm.responses(**route, input="hello").output[0].content[0].text == "hello"
        kinds = [event.type for event in litellm.responses(**route, input="one two", stream=True)]
        assert kinds[-1] == "response.completed", kinds

    return [text, stream, tool_round_trip, structured, embedding, responses]
