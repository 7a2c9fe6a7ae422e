"""OpenAI's Agents SDK."""

import asyncio

import agents
import openai
from pydantic import BaseModel


class Weather(BaseModel):
    city: str
    degrees: float


@agents.function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def cases(url):
    agents.set_tracing_disabled(True)
    return [*cases_of(url, agents.OpenAIChatCompletionsModel), *cases_of(url, agents.OpenAIResponsesModel)]


def cases_of(url, api):

    # Connections belong to the event loop of one run.
    def create_model():
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20)
        return api(model="mock", openai_client=client)

    def run(prompt, **options):
        agent = agents.Agent(name="helper", instructions="Be brief.", model=create_model(), **options)
        return asyncio.run(agents.Runner.run(agent, prompt)).final_output

    def text():
        assert run("hello") == "hello"

    def stream():
        async def collect():
            result = agents.Runner.run_streamed(agents.Agent(name="helper", model=create_model()), "one two")
            events = [event async for event in result.stream_events()]
            return events, result.final_output

        events, output = asyncio.run(collect())
        assert output == "one two" and len(events) > 2

    def tool_round_trip():
        assert run('/call get_weather {"city":"Oslo"}', tools=[get_weather]) == "rain in Oslo"

    def structured():
        assert run("weather", output_type=Weather) == Weather(city="city", degrees=1)

    def handoff():
        model = create_model()
        other = agents.Agent(name="other", model=model)
        agent = agents.Agent(name="helper", model=model, handoffs=[other])
        result = asyncio.run(agents.Runner.run(agent, "/call transfer_to_other {}"))
        assert result.last_agent.name == "other"

    return [text, stream, tool_round_trip, structured, handoff]
