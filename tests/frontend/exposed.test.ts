// Endpoints of one's own over HTTP (--expose): all else is as for every request.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError } from "@dyn/runtime";
import { formatKeyLine, partsOf } from "@dyn/runtime/internal";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OpenApiDocument } from "../../packages/frontend/src/openapi/openapi.ts";
import { eventually } from "../support/cluster.ts";
import { openDirectory } from "../support/directory.ts";
import { createExpectation } from "../support/openapi.ts";
import { events, serveOwn, type Asked, type OwnEndpoint } from "./own-endpoint.ts";

let own: OwnEndpoint;
beforeAll(async () => {
  own = await serveOwn({ httpCorsOrigins: ["https://page.example"] });
});
afterAll(() => own[Symbol.asyncDispose]());

describe("an error", () => {
  test("has the handler's code, word, field and facts", async () => {
    own.handle = async () => {
      throw new RuntimeError("invalid_argument", "name is too long", {
        param: "name",
        apiCode: "too_long",
        details: { limit: 7n },
        retryAfterMs: 2_000,
      });
    };
    const response = await own.ask();
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
    own.handle = async () => {
      throw new Error("password=7");
    };
    const response = await own.ask();
    expect([response.status, await response.json()]).toMatchObject([
      500,
      { error: { code: "internal", message: "Internal server error" } },
    ]);
  });

  test("names the endpoint that nobody serves", async () => {
    const response = await own.ask({ path: "/nobody" });
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
    own.handle = async () => 1;
    const response = await own.ask(asked);
    expect([response.status, await response.json()]).toMatchObject([
      status,
      { error: { code, message: expect.stringContaining(words) }, request_id: response.headers.get("request-id") },
    ]);
  });
});

test.each([
  [true, 200, 2],
  [false, 503, 1],
])(
  "a worker that is lost before its first item is made up for by another if the endpoint is idempotent: %j",
  async (idempotent, status, calls) => {
    const memorySpace = createMemorySpace();
    const config = { discoveryBackend: "mem", log: "off" } as const;
    await using runtime = await createRuntime({ config, memorySpace });
    let called = 0;
    const workers = await Promise.all([0, 1].map(() => createRuntime({ config, memorySpace })));
    for (const worker of workers)
      await worker.endpoint("dyn://demo.twice.generate").serve(
        async (_, context) => {
          called += 1;
          if (called === 1) partsOf(context).connection.cut();
          return "done";
        },
        { idempotent },
      );
    await using frontend = await createFrontend({ runtime, httpPort: 0, expose: ["/twice=dyn://demo.twice.generate"] });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${frontend.url}/twice`, { method: "POST", headers, body: "{}" });
    expect([response.status, called]).toEqual([status, calls]);
    await Promise.all(workers.map((worker) => worker.close()));
  },
);

test("a key is asked for, and what is too large is refused, in the same shape", async () => {
  await using directory = await openDirectory("dyn-exposed-");
  const apiKeysFile = join(directory.path, "keys");
  await writeFile(apiKeysFile, `${formatKeyLine("0123456789abcdef0123456789abcdef", "me")}\n`, { mode: 0o600 });
  const options = { apiKeysFile, httpBodyLimitBytes: 100 };
  await using locked = await serveOwn(options);
  locked.handle = async () => "done";
  const key = { authorization: "Bearer 0123456789abcdef0123456789abcdef" };
  const answers = await Promise.all([
    locked.ask(),
    locked.ask({ headers: key }),
    locked.ask({ headers: key, body: { text: "x".repeat(100) } }),
  ]);
  const bodies = await Promise.all(answers.map((answer) => answer.json()));
  expect(answers.map(({ status }) => status)).toEqual([401, 200, 413]);
  expect(bodies).toMatchObject([{ error: { code: "unauthenticated" } }, "done", { error: { code: "too_large" } }]);
});

test("the time that a client allows travels to the handler, and ends the answer", async () => {
  let left = 0;
  own.handle = async (_, { timeLeftMs, signal }) => {
    left = timeLeftMs();
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  };
  const response = await own.ask({ headers: { "x-request-timeout-ms": "200" } });
  expect([response.status, await response.json()]).toMatchObject([504, { error: { code: "deadline_exceeded" } }]);
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(200);
});

test("a client that leaves cancels the call", async () => {
  const [called, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  own.handle = async (_, { signal }) => {
    signal.addEventListener("abort", () => cancelled.resolve(), { once: true });
    called.resolve();
    await cancelled.promise;
  };
  const leave = new AbortController();
  const asked = own.ask({ signal: leave.signal });
  await called.promise;
  leave.abort();
  await expect(asked).rejects.toThrow("aborted");
  await cancelled.promise;
});

test("ids and the trace reach the handler", async () => {
  own.handle = async (_, { requestId, xRequestId, trace }) => ({ requestId, xRequestId, traceId: trace.traceId });
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const response = await own.ask({ headers: { "x-request-id": "mine", traceparent } });
  expect(await response.json()).toEqual({
    requestId: response.headers.get("request-id"),
    xRequestId: "mine",
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  });
});

test("a page of an allowed origin may ask", async () => {
  const asking = { origin: "https://page.example", "access-control-request-method": "POST" };
  const response = await own.ask({ method: "OPTIONS", headers: asking });
  expect([response.status, response.headers.get("access-control-allow-origin")]).toEqual([204, "https://page.example"]);
});

test("metrics and the history of requests name the path and the endpoint", async () => {
  own.handle = async () => 1;
  const id = (await own.ask()).headers.get("request-id");
  const metrics = await (await fetch(`${own.frontend.url}/metrics`)).text();
  const labels = 'endpoint="/v1/own",model="dyn://demo.own.generate",request_type="unary"';
  expect(metrics).toContain(`dynamo_frontend_requests_started_total{${labels}}`);
  const shown = await eventually("the request in the history", async () => {
    const response = await fetch(`${own.frontend.url}/v1/requests/${id}`);
    return response.ok && (await response.text());
  });
  expect(shown).toContain("dyn://demo.own.generate");
});

test("/openapi.json describes them, and what they answer is as described", async () => {
  const document = (await (await fetch(`${own.frontend.url}/openapi.json`)).json()) as OpenApiDocument;
  expect(document.paths["/v1/own"]?.post?.summary).toBe("Call dyn://demo.own.generate");
  const expectDescribed = createExpectation(document);
  own.handle = async () => ({ word: "hello" });
  for (const asked of [{}, { headers: events }, { body: "{" }, { path: "/nobody" }]) {
    const response = await own.ask(asked);
    const answer = { status: response.status, headers: new Map(response.headers), body: await response.text() };
    expectDescribed("POST", (asked as Asked).path ?? "/v1/own", answer);
  }
});

test("what runs may finish in a drain", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  own.handle = async function* () {
    yield 1;
    await promise;
    yield 2;
  };
  const expose = ["/own=dyn://demo.own.generate"];
  const draining = await createFrontend({ runtime: own.runtime, httpPort: 0, expose });
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
    const created = createFrontend({ runtime: own.runtime, httpPort: 0, expose });
    await expect(created).rejects.toMatchObject({ code: "invalid_argument", message: expect.stringContaining(words) });
  });
});
