"""Runs calls of the Python clients for a test in another process.

Reads one JSON object per line: {"id", "client", "op", "ask"} starts a call, {"id", "cancel": true} cancels it.
Writes {"id": 0} when it is ready, {"id", "text"} for each piece of a stream, and at the end {"id", "answer"} or {"id", "failure"}.
"""

import asyncio
import json
import sys

import anthropic_calls
import openai_calls


def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def to_failure(error):
    """The attributes both libraries put on their errors; what is not there is null."""
    names = {"status": "status_code", "type": "type", "code": "code", "param": "param", "requestId": "request_id"}
    shown = {name: getattr(error, attribute, None) for name, attribute in names.items()}
    bases = [base.__name__ for base in type(error).__mro__]
    return {"name": type(error).__name__, "bases": bases, "message": str(error), **shown}


async def run(call, calls):
    try:
        answer = await getattr(calls[call["client"]], call["op"])(
            call["ask"], lambda text: write({"id": call["id"], "text": text})
        )
        write({"id": call["id"], "answer": answer})
    except (Exception, asyncio.CancelledError) as error:
        write({"id": call["id"], "failure": to_failure(error)})


async def main(url):
    calls = {"openai": openai_calls.Calls(url), "anthropic": anthropic_calls.Calls(url)}
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    running = {}
    write({"id": 0})
    while line := await reader.readline():
        call = json.loads(line)
        if call.get("cancel"):
            running[call["id"]].cancel()
        else:
            running[call["id"]] = asyncio.create_task(run(call, calls))


asyncio.run(main(sys.argv[1]))
