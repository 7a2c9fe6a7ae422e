"""What a Python program does with `openai`: one coroutine per kind of call, named by the tests."""

import asyncio

import openai


def to_options(ask):
    options = {"max_retries": ask.get("maxRetries", 0)}
    if "timeoutMs" in ask:
        options["timeout"] = ask["timeoutMs"] / 1000
    return options


def to_headers(ask):
    return {"x-request-id": ask["tag"]} if "tag" in ask else {}


def to_body(ask):
    system = [{"role": "system", "content": ask["system"]}] if "system" in ask else []
    body = {
        "model": ask.get("model", "mock"),
        "messages": [*system, {"role": "user", "content": ask["prompt"]}],
        "max_completion_tokens": ask.get("maxTokens", 1000),
        "extra_headers": to_headers(ask),
    }
    if "stop" in ask:
        body["stop"] = ask["stop"]
    return body


class Calls:
    def __init__(self, url):
        self.client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused")
        self.sync = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)

    async def complete(self, ask, _say):
        completion = await self.client.with_options(**to_options(ask)).chat.completions.create(**to_body(ask))
        [choice] = completion.choices
        return {
            "text": choice.message.content,
            "reason": choice.finish_reason,
            "inputTokens": completion.usage.prompt_tokens,
            "outputTokens": completion.usage.completion_tokens,
            "requestId": completion._request_id,
        }

    async def stream(self, ask, say):
        stream = await self.client.with_options(**to_options(ask)).chat.completions.create(
            **to_body(ask), stream=True, stream_options={"include_usage": True}
        )
        text, reason, usage = "", None, None
        async with stream:
            async for chunk in stream:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    reason = choice.finish_reason or reason
                    if choice.delta.content:
                        text += choice.delta.content
                        say(choice.delta.content)
        return {
            "text": text,
            "reason": reason,
            "inputTokens": usage.prompt_tokens,
            "outputTokens": usage.completion_tokens,
            "requestId": stream.response.headers["x-request-id"],
        }

    async def models(self, ask, _say):
        listed = [model.id async for model in self.client.models.list()]
        shown = await self.client.models.retrieve(ask["model"])
        return {"listed": listed, "shown": shown.model_dump()}

    async def helper(self, ask, _say):
        """The helper that accumulates a stream, from the blocking client."""

        def work():
            with self.sync.chat.completions.stream(**to_body(ask)) as stream:
                kinds = {event.type for event in stream}
                return {"kinds": sorted(kinds), "completion": stream.get_final_completion().model_dump()}

        return await asyncio.to_thread(work)

    async def raw(self, ask, _say):
        """The blocking client's raw and streamed responses."""

        def work():
            raw = self.sync.chat.completions.with_raw_response.create(**to_body(ask))
            parsed = raw.parse()
            with self.sync.chat.completions.with_streaming_response.create(**to_body(ask), stream=True) as response:
                lines = [line for line in response.iter_lines() if line]
            return {"status": raw.status_code, "header": raw.headers["x-request-id"], "id": raw.request_id, "body": parsed.id, "last": lines[-1]}

        return await asyncio.to_thread(work)

    async def completions(self, ask, _say):
        """Plain completions with whatever fields the test gives."""
        completion = await self.client.completions.create(model="mock", **ask["fields"])
        return completion.model_dump()

    async def chat(self, ask, _say):
        """A chat completion with whatever fields the test gives."""
        client = self.client.with_options(max_retries=0)
        completion = await client.chat.completions.create(**{**to_body(ask), **ask["fields"]})
        return completion.model_dump()
