// Endpoints of one's own over HTTP (--expose): JSON in, JSON or a stream of events out, and all else as for every request.
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type Handler, type Runtime } from "@dyn/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createExpectation } from "../support/openapi.ts";
import type { OpenApiDocument } from "../../packages/frontend/src/openapi/openapi.ts";
import { eventually } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
const memorySpace = createMemorySpace();
let runtimes: Runtime[];
let frontend: Frontend;
let handle: Handler<unknown, unknown>;

beforeAll(async () => {
  runtimes = await Promise.all([0, 1].map(() => createRuntime({ config, memorySpace })));
  const [worker, runtime] = runtimes as [Runtime, Runtime];
  await worker.endpoint("dyn://demo.own.generate").serve((request, context) => handle(request, context));
  frontend = await createFrontend({
    runtime,
    httpPort: 0,
    httpAnswerLimitBytes: 1_000,
    httpCorsOrigins: ["https://page.example"],
    responseHeaders: ["x-ratelimit-*"],
    expose: ["/v1/own=dyn://demo.own.generate", "/nobody=dyn://demo.nobody.generate"],
  });
});
afterAll(async () => {
  await frontend.close();
  await Promise.all(runtimes.map((runtime) => runtime.close()));
});

interface Asked {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly method?: string;
  readonly signal?: AbortSignal;
}

function ask({ path = "/v1/own", headers = {}, body = {}, method = "POST", signal }: Asked = {}): Promise<Response> {
  return fetch(`${frontend.url}${path}`, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(method === "POST" && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
  });
}

const events = { accept: "text/event-stream" };

describe("an answer in one piece is", () => {
  test("the value of a handler that has one, with the request's id", async () => {
    handle = async (request) => ({ got: request });
    const response = await ask({ body: { name: "world", list: [1, null] }, headers: { "x-request-id": "mine" } });
    expect([response.status, await response.json()]).toEqual([200, { got: { name: "world", list: [1, null] } }]);
    expect(response.headers.get("x-request-id")).toBe("mine");
    expect(response.headers.get("request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    [0, "[]"],
    [1, '{"index":0}'],
    [2, '[{"index":0},{"index":1}]'],
  ])("of %i items: %s", async (count, json) => {
    handle = async function* () {
      for (let index = 0; index < count; index += 1) yield { index };
    };
    expect(await (await ask()).text()).toBe(json);
  });

  test("null for a handler that gives nothing", async () => {
    handle = async () => undefined;
    expect(await (await ask()).text()).toBe("null");
  });

  test.each([["hello"], [7], [null], [[1, 2]]])("also for a body that is %j", async (body) => {
    handle = async (request) => ({ request });
    expect(await (await ask({ body: JSON.stringify(body) })).json()).toEqual({ request: body });
  });

  test("in a form for everything that a handler may give", async () => {
    handle = async () => ({
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
    expect(await (await ask()).text()).toBe(
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
    handle = async () => value;
    const response = await ask();
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([501, "false"]);
    expect(await response.json()).toMatchObject({
      error: { code: "unimplemented", message: expect.stringContaining(words) },
    });
  });

  test("with the headers that the handler has set and the operator allows", async () => {
    handle = async (_, { setResponseHeaders }) => {
      setResponseHeaders({ "x-ratelimit-left": "7", "x-other": "no" });
      return 1;
    };
    const { headers } = await ask();
    expect([headers.get("x-ratelimit-left"), headers.get("x-other")]).toEqual(["7", null]);
  });
});

describe("a stream", () => {
  test.each([
    [events, {}],
    [{ accept: "application/json, text/event-stream" }, {}],
    [{}, { stream: true }],
  ])("is asked for by %j and %j, and has an event for each item", async (headers, body) => {
    handle = async function* () {
      yield { word: "hello" };
      yield 7n;
    };
    const response = await ask({ headers, body });
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(await response.text()).toBe('data: {"word":"hello"}\n\ndata: "7"\n\nevent: end\ndata: {"items":2}\n\n');
  });

  test.each([
    [{ accept: "application/json, text/event-stream;q=0.5" }],
    [{ accept: "*/*" }],
    [{ accept: "text/event-stream;q=0" }],
  ])("is not sent to %j", async (headers) => {
    handle = async () => 1;
    expect(await (await ask({ headers })).text()).toBe("1");
  });

  test("gives each item when it is there, whatever follows", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    handle = async function* () {
      yield 1;
      await promise;
      yield 2;
    };
    const response = await ask({ headers: events });
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe("data: 1\n\n");
    resolve();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
    expect(rest).toBe('data: 2\n\nevent: end\ndata: {"items":2}\n\n');
  });

  test("is larger than the limit of answers in one piece", async () => {
    handle = async function* () {
      for (let index = 0; index < 100; index += 1) yield "x".repeat(100);
    };
    expect((await (await ask({ headers: events })).text()).length).toBeGreaterThan(10_000);
  });

  test("that has begun and fails ends with an event that says why", async () => {
    handle = async function* () {
      yield 1;
      throw new RuntimeError("rate_limited", "slower");
    };
    const response = await ask({ headers: events });
    const id = response.headers.get("request-id");
    expect([response.status, await response.text()]).toEqual([
      200,
      `data: 1\n\nevent: error\ndata: {"error":{"code":"rate_limited","message":"slower"},"request_id":"${id}"}\n\n`,
    ]);
  });

  test("that fails before it begins is a plain error", async () => {
    handle = async () => {
      throw new RuntimeError("unavailable", "no such order");
    };
    const response = await ask({ headers: events });
    expect([response.status, await response.json()]).toMatchObject([
      503,
      { error: { code: "unavailable", message: "no such order" } },
    ]);
  });
});

describe("an error", () => {
  test("has the handler's code, word, field and facts", async () => {
    handle = async () => {
      throw new RuntimeError("invalid_argument", "name is too long", {
        param: "name",
        apiCode: "too_long",
        details: { limit: 7n },
        retryAfterMs: 2_000,
      });
    };
    const response = await ask();
    expect([response.status, response.headers.get("retry-after"), await response.json()]).toEqual([
      400,
      "2",
      {
        error: {
          code: "invalid_argument",
          message: "name is too long",
          param: "name",
          reason: "too_long",
          details: { limit: "7" },
        },
        request_id: response.headers.get("request-id"),
      },
    ]);
  });

  test("that is a fault of the handler says no more than that", async () => {
    handle = async () => {
      throw new Error("password=7");
    };
    const response = await ask();
    expect([response.status, await response.json()]).toMatchObject([
      500,
      { error: { code: "internal", message: "Internal server error" } },
    ]);
  });

  test("names the endpoint that nobody serves", async () => {
    const response = await ask({ path: "/nobody" });
    expect([response.status, response.headers.get("retry-after"), await response.json()]).toMatchObject([
      503,
      "1",
      { error: { code: "unavailable", message: "no instance serves dyn://demo.nobody.generate at the moment" } },
    ]);
  });

  test.each([
    [{ method: "GET" }, 405, "method_not_allowed", "allowed: POST"],
    [{ body: "{" }, 400, "invalid_argument", "not valid JSON"],
    [{ body: "" }, 400, "invalid_argument", "is empty"],
    [{ headers: { "content-type": "text/plain" } }, 415, "unsupported_media_type", "application/json"],
    [{ headers: { "x-request-timeout-ms": "soon" } }, 400, "invalid_argument", "x-request-timeout-ms"],
    [{ headers: { "x-worker-instance-id": "one" } }, 400, "invalid_argument", "x-worker-instance-id"],
  ])("of %j is a %i in the same shape", async (asked, status, code, words) => {
    handle = async () => 1;
    const response = await ask(asked);
    expect([response.status, await response.json()]).toMatchObject([
      status,
      { error: { code, message: expect.stringContaining(words) }, request_id: response.headers.get("request-id") },
    ]);
  });
});

test("the time that a client allows travels to the handler, and ends the answer", async () => {
  let left = 0;
  handle = async (_, { timeLeftMs, signal }) => {
    left = timeLeftMs();
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  };
  const response = await ask({ headers: { "x-request-timeout-ms": "200" } });
  expect([response.status, await response.json()]).toMatchObject([504, { error: { code: "deadline_exceeded" } }]);
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(200);
});

test("a client that leaves cancels the call", async () => {
  const [called, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  handle = async (_, { signal }) => {
    signal.addEventListener("abort", () => cancelled.resolve(), { once: true });
    called.resolve();
    await cancelled.promise;
  };
  const leave = new AbortController();
  const asked = ask({ signal: leave.signal });
  await called.promise;
  leave.abort();
  await expect(asked).rejects.toThrow("aborted");
  await cancelled.promise;
});

test("ids and the trace reach the handler", async () => {
  handle = async (_, { requestId, xRequestId, trace }) => ({ requestId, xRequestId, traceId: trace.traceId });
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const response = await ask({ headers: { "x-request-id": "mine", traceparent } });
  expect(await response.json()).toEqual({
    requestId: response.headers.get("request-id"),
    xRequestId: "mine",
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  });
});

test("a page of an allowed origin may ask", async () => {
  const asking = { origin: "https://page.example", "access-control-request-method": "POST" };
  const response = await ask({ method: "OPTIONS", headers: asking });
  expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([204, "https://page.example"]);
});

test("metrics and the history of requests name the path and the endpoint", async () => {
  handle = async () => 1;
  const id = (await ask()).headers.get("request-id");
  const metrics = await (await fetch(`${frontend.url}/metrics`)).text();
  const labels = 'endpoint="/v1/own",model="dyn://demo.own.generate",request_type="unary"';
  expect(metrics).toContain(`dynamo_frontend_requests_started_total{${labels}}`);
  const shown = await eventually("the request in the history", async () => {
    const response = await fetch(`${frontend.url}/v1/requests/${id}`);
    return response.ok && (await response.text());
  });
  expect(shown).toContain("dyn://demo.own.generate");
});

test("/openapi.json describes them, and what they answer is as described", async () => {
  const document = (await (await fetch(`${frontend.url}/openapi.json`)).json()) as OpenApiDocument;
  expect(document.paths["/v1/own"]?.post?.summary).toBe("Call dyn://demo.own.generate");
  const expectDescribed = createExpectation(document);
  handle = async () => ({ word: "hello" });
  for (const asked of [{}, { headers: events }, { body: "{" }, { path: "/nobody" }]) {
    const response = await ask(asked);
    const answer = { status: response.status, headers: new Map(response.headers), body: await response.text() };
    expectDescribed("POST", (asked as Asked).path ?? "/v1/own", answer);
  }
});

test("what runs may finish in a drain", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  handle = async function* () {
    yield 1;
    await promise;
    yield 2;
  };
  const expose = ["/own=dyn://demo.own.generate"];
  const draining = await createFrontend({ runtime: runtimes[1] as Runtime, httpPort: 0, expose });
  const headers = { "content-type": "application/json", ...events };
  const response = await fetch(`${draining.url}/own`, { method: "POST", headers, body: "{}" });
  const closed = draining.close();
  resolve();
  expect(await response.text()).toBe('data: 1\n\ndata: 2\n\nevent: end\ndata: {"items":2}\n\n');
  await closed;
});

describe("a setting is refused that", () => {
  const to = "dyn://demo.own.generate";
  test.each([
    ["has no address", ["/v1/own"], "expected PATH=dyn://namespace.component.endpoint"],
    ["has no path", [`=${to}`], "must begin with /"],
    ["has a path of patterns", [`/v1/{id}=${to}`], "* and {} stand for nothing"],
    ["has a wildcard", [`/v1/*=${to}`], "* and {} stand for nothing"],
    ["ends with a slash", [`/v1/own/=${to}`], "must not end with /"],
    ["has a query", [`/v1/own?x=${to}`], "must be names of"],
    ["has an encoded path", [`/v1/%41=${to}`], "must be names of"],
    ["goes up", [`/v1/../x=${to}`], "no . and .."],
    ["has a path twice", [`/a=${to}`, `/a=${to}x`], "/a is given twice"],
    ["has an address that is none", ["/a=http://other"], "is no endpoint"],
    ["takes a path of the frontend's", [`/v1/chat/completions=${to}`], "is a path of the frontend's own"],
    ["takes a path below one of the frontend's", [`/v1/models/x=${to}`], "is a path of the frontend's own"],
    ["takes the page of the routes", [`/docs=${to}`], "is a path of the frontend's own"],
  ])("%s", async (_, expose, words) => {
    const created = createFrontend({ runtime: runtimes[1] as Runtime, httpPort: 0, expose });
    await expect(created).rejects.toMatchObject({ code: "invalid_argument", message: expect.stringContaining(words) });
  });
});
