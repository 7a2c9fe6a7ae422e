"""LangChain over both APIs."""

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: float


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def cases(url):
    settings = {"model": "mock", "base_url": f"{url}/v1", "api_key": "none", "max_retries": 0, "timeout": 20}
    models = {
        "chat": ChatOpenAI(**settings),
        "responses": ChatOpenAI(**settings, use_responses_api=True),
        "anthropic": ChatAnthropic(model="mock", base_url=url, api_key="none", max_retries=0, timeout=20),
    }
    prompt = '/call get_weather {"city":"Oslo"}'

    def both(check):
        def case():
            for model in models.values():
                check(model)

        case.__name__ = check.__name__
        case.__code__ = case.__code__.replace(co_name=check.__name__)
        return case

    def text(model):
        assert model.invoke("hello").text == "hello"

    def stream(model):
        assert "".join(chunk.text for chunk in model.stream("one two")) == "one two"

    def tool_call(model):
        calls = model.bind_tools([get_weather], tool_choice="any").invoke("x").tool_calls
        assert [(call["name"], call["args"]) for call in calls] == [("get_weather", {"city": "city"})], calls

    def streamed_tool_call(model):
        whole = None
        for chunk in model.bind_tools([get_weather]).stream(prompt):
            whole = chunk if whole is None else whole + chunk
        assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("get_weather", {"city": "Oslo"})]

    def agent(model):
        messages = create_agent(model, [get_weather]).invoke({"messages": prompt})["messages"]
        assert messages[-1].text == "rain in Oslo", messages

    def structured_by_tool(model):
        made = model.with_structured_output(Weather, method="function_calling").invoke("weather")
        assert made == Weather(city="city", degrees=1)

    def structured_by_schema(model):
        made = model.with_structured_output(Weather, method="json_schema").invoke("weather")
        assert made == Weather(city="city", degrees=1)

    def embeddings():
        embed = OpenAIEmbeddings(
            model="mock", base_url=f"{url}/v1", api_key="none", check_embedding_ctx_length=False, max_retries=0
        )
        one, other = embed.embed_documents(["hello", "hello"])
        assert one == other

    of_both = [text, stream, tool_call, streamed_tool_call, agent, structured_by_tool, structured_by_schema]
    return [*map(both, of_both), embeddings]
