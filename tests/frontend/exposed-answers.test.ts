// What an endpoint of one's own has given, over HTTP: as JSON in one piece, or as a stream of events.
import { RuntimeError } from "@dyn/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { events, serveOwn, type OwnEndpoint } from "./own-endpoint.ts";

let own: OwnEndpoint;
beforeAll(async () => {
  own = await serveOwn({ httpAnswerLimitBytes: 1_000, responseHeaders: ["x-ratelimit-*"] });
});
afterAll(() => own[Symbol.asyncDispose]());

describe("an answer in one piece is", () => {
  test("the value of a handler that has one, with the request's id", async () => {
    own.handle = async (request) => ({ got: request });
    const response = await own.ask({ body: { name: "world", list: [1, null] }, headers: { "x-request-id": "mine" } });
    expect([response.status, await response.json()]).toEqual([200, { got: { name: "world", list: [1, null] } }]);
    expect(response.headers.get("x-request-id")).toBe("mine");
    expect(response.headers.get("request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    [0, "[]"],
    [1, '{"index":0}'],
    [2, '[{"index":0},{"index":1}]'],
  ])("of %i items: %s", async (count, json) => {
    own.handle = async function* () {
      for (let index = 0; index < count; index += 1) yield { index };
    };
    expect(await (await own.ask()).text()).toBe(json);
  });

  test("null for a handler that gives nothing", async () => {
    own.handle = async () => undefined;
    expect(await (await own.ask()).text()).toBe("null");
  });

  test.each([["hello"], [7], [null], [[1, 2]]])("also for a body that is %j", async (body) => {
    own.handle = async (request) => ({ request });
    expect(await (await own.ask({ body: JSON.stringify(body) })).json()).toEqual({ request: body });
  });

  test("in a form for everything that a handler may give", async () => {
    own.handle = async () => ({
      bytes: Buffer.from([1, 2, 255]),
      bigint: 2n ** 70n,
      small: 5n,
      date: new Date(0),
      map: new Map<unknown, unknown>([
        ["a", new Set([1n])],
        [7, 8],
        ["__proto__", 1],
      ]),
      floats: Float32Array.of(0.5, Number.NaN),
      bigints: BigInt64Array.of(-1n),
      nothing: Number.POSITIVE_INFINITY,
      text: "\u2028\n",
    });
    expect(await (await own.ask()).text()).toBe(
      '{"bytes":"AQL/","bigint":"1180591620717411303424","small":"5","date":"1970-01-01T00:00:00.000Z","map":{"7":8,"a":["1"],"__proto__":1},"floats":[0.5,null],"bigints":["-1"],"nothing":null,"text":"\u2028\\n"}',
    );
  });

  test.each([
    ["a Map with keys that are no names", new Map([[{}, 1]]), "a key that is no text, number or boolean"],
    [
      "a Map with two keys of one name",
      new Map<unknown, number>([
        [1, 1],
        ["1", 2],
      ]),
      'such as 1 and "1"',
    ],
    ["more than the limit of answers", "x".repeat(1_000), "larger than 1000 bytes"],
  ])("a 501 that says why for %s", async (_, value, words) => {
    own.handle = async () => value;
    const response = await own.ask();
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([501, "false"]);
    expect(await response.json()).toMatchObject({
      error: { code: "unimplemented", message: expect.stringContaining(words) },
    });
  });

  test("with the headers that the handler has set and the operator allows", async () => {
    own.handle = async (_, { setResponseHeaders }) => {
      setResponseHeaders({ "x-ratelimit-left": "7", "x-other": "no" });
      return 1;
    };
    const { headers } = await own.ask();
    expect([headers.get("x-ratelimit-left"), headers.get("x-other")]).toEqual(["7", null]);
  });
});

describe("a stream", () => {
  test.each([
    [events, {}],
    [{ accept: "application/json, text/event-stream" }, {}],
    [{}, { stream: true }],
  ])("is asked for by %j and %j, and has an event for each item", async (headers, body) => {
    own.handle = async function* () {
      yield { word: "hello" };
      yield 7n;
    };
    const response = await own.ask({ headers, body });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(await response.text()).toBe('data: {"word":"hello"}\n\ndata: "7"\n\nevent: end\ndata: {"items":2}\n\n');
  });

  test.each([
    [{ accept: "application/json, text/event-stream;q=0.5" }],
    [{ accept: "*/*" }],
    [{ accept: "text/event-stream;q=0" }],
  ])("is not sent to %j", async (headers) => {
    own.handle = async () => 1;
    expect(await (await own.ask({ headers })).text()).toBe("1");
  });

  test("gives each item when it is there, whatever follows", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    own.handle = async function* () {
      yield 1;
      await promise;
      yield 2;
    };
    const response = await own.ask({ headers: events });
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe("data: 1\n\n");
    resolve();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
    expect(rest).toBe('data: 2\n\nevent: end\ndata: {"items":2}\n\n');
  });

  test("is larger than the limit of answers in one piece", async () => {
    own.handle = async function* () {
      for (let index = 0; index < 100; index += 1) yield "x".repeat(100);
    };
    expect((await (await own.ask({ headers: events })).text()).length).toBeGreaterThan(10_000);
  });

  test("that has begun and fails ends with an event that says why", async () => {
    own.handle = async function* () {
      yield 1;
      throw new RuntimeError("rate_limited", "slower");
    };
    const response = await own.ask({ headers: events });
    const id = response.headers.get("request-id");
    expect([response.status, await response.text()]).toEqual([
      200,
      `data: 1\n\nevent: error\ndata: {"error":{"code":"rate_limited","message":"slower"},"request_id":"${id}"}\n\n`,
    ]);
  });

  test("has what came together with an item that JSON cannot hold", async () => {
    own.handle = async function* () {
      yield* [1, 2, new Map([[{}, 1]])];
    };
    expect(await (await own.ask({ headers: events })).text()).toMatch(
      /^data: 1\n\ndata: 2\n\nevent: error\ndata: \{"error":\{"code":"unimplemented"/,
    );
  });

  test("that fails before it begins is a plain error", async () => {
    own.handle = async () => {
      throw new RuntimeError("unavailable", "no such order");
    };
    const response = await own.ask({ headers: events });
    expect([response.status, await response.json()]).toMatchObject([
      503,
      { error: { code: "unavailable", message: "no such order" } },
    ]);
  });
});
