"""What a Python program does with `anthropic`: one coroutine per kind of call, named by the tests."""

import asyncio

import anthropic
from openai_calls import to_headers, to_options


def to_body(ask):
    body = {
        "model": ask.get("model", "mock"),
        "messages": [{"role": "user", "content": ask["prompt"]}],
        "max_tokens": ask.get("maxTokens", 1000),
        "extra_headers": to_headers(ask),
    }
    if "system" in ask:
        body["system"] = ask["system"]
    if "stop" in ask:
        body["stop_sequences"] = ask["stop"]
    return body


def to_answer(message, request_id):
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "reason": message.stop_reason,
        "inputTokens": message.usage.input_tokens,
        "outputTokens": message.usage.output_tokens,
        "requestId": request_id,
    }


class Calls:
    def __init__(self, url):
        self.client = anthropic.AsyncAnthropic(base_url=url, api_key="unused")
        self.sync = anthropic.Anthropic(base_url=url, api_key="unused", max_retries=0)

    async def complete(self, ask, _say):
        message = await self.client.with_options(**to_options(ask)).messages.create(**to_body(ask))
        return to_answer(message, message._request_id)

    async def stream(self, ask, say):
        async with self.client.with_options(**to_options(ask)).messages.stream(**to_body(ask)) as stream:
            async for text in stream.text_stream:
                say(text)
            message = await stream.get_final_message()
            return to_answer(message, stream.request_id)

    async def models(self, ask, _say):
        listed = [model.id async for model in self.client.models.list(limit=ask["limit"])]
        shown = await self.client.models.retrieve(ask["model"])
        return {"listed": listed, "shown": shown.model_dump(mode="json")}

    async def count(self, ask, _say):
        """Tokens as counted beforehand, and as usage says afterwards, from the blocking client."""

        def work():
            fields = {name: value for name, value in to_body(ask).items() if name in ("model", "messages", "system")}
            counted = self.sync.messages.count_tokens(**fields).input_tokens
            return {"counted": counted, "used": self.sync.messages.create(**to_body(ask)).usage.input_tokens}

        return await asyncio.to_thread(work)

    async def raw(self, ask, _say):
        """The blocking client's raw response."""

        def work():
            raw = self.sync.messages.with_raw_response.create(**to_body(ask))
            return {"status": raw.status_code, "header": raw.headers["request-id"], "id": raw.request_id, "body": raw.parse().id}

        return await asyncio.to_thread(work)

    async def events(self, ask, _say):
        """Types of the raw events of a stream, in order."""
        stream = await self.client.messages.create(**to_body(ask), stream=True)
        return [event.type async for event in stream]
