"""Pydantic AI over both APIs."""

import asyncio

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Weather(BaseModel):
    city: str
    degrees: float


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def cases(url):
    def create_models():
        settings = {"api_key": "none", "max_retries": 0, "timeout": 20}
        openai = AsyncOpenAI(base_url=f"{url}/v1", **settings)
        anthropic = AsyncAnthropic(base_url=url, **settings)
        return (
            OpenAIChatModel("mock", provider=OpenAIProvider(openai_client=openai)),
            OpenAIResponsesModel("mock", provider=OpenAIProvider(openai_client=openai)),
            AnthropicModel("mock", provider=AnthropicProvider(anthropic_client=anthropic)),
        )

    def both(check):
        def case():
            async def run():
                for model in create_models():
                    await check(model)

            asyncio.run(run())

        case.__name__ = check.__name__
        return case

    async def text(model):
        assert (await Agent(model).run("hello")).output == "hello"

    async def stream(model):
        async with Agent(model).run_stream("one two") as result:
            texts = [text async for text in result.stream_text(debounce_by=None)]
        assert texts[-1] == "one two", texts

    async def tool_round_trip(model):
        answer = await Agent(model, tools=[get_weather]).run('/call get_weather {"city":"Oslo"}')
        assert answer.output == "rain in Oslo"

    async def structured_by_tool(model):
        answer = await Agent(model, output_type=Weather).run("weather")
        assert answer.output == Weather(city="city", degrees=1)

    def structured_by_schema():
        async def run():
            for model in create_models()[:2]:
                answer = await Agent(model, output_type=NativeOutput(Weather)).run("weather")
                assert answer.output == Weather(city="city", degrees=1)

        asyncio.run(run())

    return [*map(both, [text, stream, tool_round_trip, structured_by_tool]), structured_by_schema]
