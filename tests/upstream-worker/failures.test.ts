// What clients get when the server behind a worker refuses, fails, or sends what is no answer.
import { describe, expect, test } from "vitest";
import { eventually, postChat } from "../support/cluster.ts";
import { piece, sendEvents, sendJson, type ScriptedServer } from "./scripted-server.ts";
import { hello, useSetup } from "./setup.ts";

const current = useSetup();

describe("what goes wrong", () => {
  const refusals = [
    [
      400,
      {
        error: {
          message: "too long",
          type: "invalid_request_error",
          param: "messages",
          code: "context_length_exceeded",
        },
      },
      400,
      { message: "too long", param: "messages", code: "context_length_exceeded" },
    ],
    [422, { detail: [{ msg: "bad" }] }, 400, { message: '[{"msg":"bad"}]' }],
    [413, { error: "large" }, 413, { message: "large" }],
    [501, { error: "not built" }, 501, { code: "unsupported" }],
    [429, { error: { message: "slow down" } }, 429, { message: "slow down", type: "rate_limit_error" }],
    [
      401,
      { error: { message: "key sk-secret is bad" } },
      503,
      { message: "the server behind this worker does not serve the worker's key" },
    ],
    [
      404,
      { error: { message: "no such model" } },
      503,
      { message: "the server behind this worker does not serve the model" },
    ],
    [500, { error: { message: "stack trace" } }, 500, { message: "Internal server error" }],
    [503, { object: "error", message: "busy", code: 503 }, 503, { message: "the server behind this worker failed" }],
    [529, { error: { message: "busy" } }, 529, { type: "overloaded_error" }],
    [307, {}, 503, { message: "the server behind this worker is somewhere else" }],
    [200, { error: { message: "bad stop", type: "invalid_request_error" } }, 400, { message: "bad stop" }],
    [200, { error: { message: "busy", code: 429 } }, 429, { message: "busy" }],
  ] as const;

  test.each(refusals)("%i %j is a %i for the client", async (status, body, expected, error) => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) =>
      sendJson(response, status, body, { "retry-after": "7", location: "http://127.0.0.1:1/" });
    const answer = await postChat(current().url, { model: "up", messages: hello });
    expect(await answer.json()).toMatchObject({ error });
    expect(answer.status).toBe(expected);
    expect(current().server.heard).toHaveLength(1);
    if (status === 429 || status === 503 || status === 529) expect(answer.headers.get("retry-after")).toBe("7");
  });

  const broken: readonly (readonly [string, ScriptedServer["answer"], string])[] = [
    ["an event that is no JSON", (response) => sendEvents(response, '{"choices":['), "Internal server error"],
    ["an event that is no piece", (response) => sendEvents(response, { hello: 1 }), "Internal server error"],
    [
      "a page",
      (response) => void response.writeHead(200, { "content-type": "text/html" }).end("<p>"),
      "Internal server error",
    ],
    [
      "a cut connection",
      (response) => {
        sendEvents(response, piece({ role: "assistant" }));
        response.destroy();
      },
      "could not be reached",
    ],
    [
      "an end without a finish reason",
      (response) => {
        sendEvents(response, piece({ content: "a" }));
        response.end();
      },
      "ended without finish_reason",
    ],
    ["an event without end", (response) => sendEvents(response, "a".repeat(17 * 1024 * 1024)), "Internal server error"],
    [
      "more calls than an answer may have",
      (response) => {
        for (let index = 0; index < 200; index += 1)
          sendEvents(response, piece({ tool_calls: [{ index: 2 ** 40 + index, function: { name: "f" } }] }));
      },
      "Internal server error",
    ],
    [
      "a call that never began",
      (response) => sendEvents(response, piece({ tool_calls: [{ index: 0, function: { arguments: "{" } }] })),
      "Internal server error",
    ],
  ];
  test.each(broken)("%s is an error, not an answer", async (_what, answerBadly, message) => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = answerBadly;
    const answer = await postChat(current().url, { model: "up", messages: hello });
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(await answer.json())).toContain(message);
  });

  test("comments, carriage returns, bytes one by one, other fields and wrong usage do not disturb an answer", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = async (response) => {
      const wrong = { prompt_tokens: -1, completion_tokens: "3" };
      const events = [
        ": ping",
        "",
        "event: x",
        `data: ${JSON.stringify(piece({ content: "grüße 😀" }))}`,
        "",
        `data:${JSON.stringify(piece({}, "stop"))}`,
        "",
        `data: ${JSON.stringify({ choices: [], usage: wrong })}`,
        "",
        "data: [DONE]",
        "",
        "",
      ];
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const byte of Buffer.from(events.join("\r\n"))) {
        response.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    };
    const answer = await current().ask();
    expect(answer.choices[0]).toMatchObject({ message: { content: "grüße 😀" }, finish_reason: "stop" });
    expect(answer.usage).toMatchObject({ prompt_tokens: 1, completion_tokens: 1 });
  });

  test("an answer that has said why it ends is whole, whatever becomes of its connection", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => {
      sendEvents(response, piece({ content: "all" }), piece({}, "length"));
      setImmediate(() => response.destroy());
    };
    const answer = await current().ask();
    expect(answer.choices[0]).toMatchObject({ message: { content: "all" }, finish_reason: "length" });
  });

  test("silence ends a request", async () => {
    await current().startWorker({ idleTimeoutMs: 50, firstByteTimeoutMs: 60_000 });
    await current().whenListed("up");
    current().server.answer = (response) => sendEvents(response, piece({ role: "assistant" }));
    const answer = await postChat(current().url, { model: "up", messages: hello });
    expect(answer.status).toBe(503);
    expect(JSON.stringify(await answer.json())).toContain("has fallen silent: the limit is 50 ms");
  });

  test.each([
    ["no head", () => undefined],
    ["a head alone", (response) => response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders()],
  ] satisfies [string, ScriptedServer["answer"]][])("%s ends a request", async (_what, answerLate) => {
    await current().startWorker({ firstByteTimeoutMs: 50, idleTimeoutMs: 60_000 });
    await current().whenListed("up");
    current().server.answer = answerLate;
    const answer = await postChat(current().url, { model: "up", messages: hello });
    expect(JSON.stringify(await answer.json())).toContain("has not begun to answer: the limit is 50 ms");
  });

  test("a kept connection that the upstream has closed meanwhile costs nobody an error", async () => {
    await current().startWorker({ healthIntervalMs: 60_000 });
    await current().whenListed("up");
    current().server.answer = (response) => {
      sendEvents(response, piece({ content: "hi" }, "stop"), "[DONE]");
      response.end();
    };
    const { server } = current();
    const { answer } = server;
    const used = new WeakSet();
    let cuts = 0;
    server.answer = (response, heard) => {
      const { socket } = response;
      if (socket && used.has(socket) && cuts === 0) {
        cuts += 1;
        socket.resetAndDestroy();
        return undefined;
      }
      if (socket) used.add(socket);
      return answer(response, heard);
    };
    await eventually("a request on a kept connection", async () => {
      expect((await current().ask()).choices[0]?.message.content).toBe("hi");
      return cuts === 1;
    });
  });
});
