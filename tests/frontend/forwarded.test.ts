// What of an HTTP request reaches the engine besides the request itself, and the service that the engine calls.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createFrontend, type CreateFrontendOptions } from "@dyn/frontend";
import { createRuntime, type RequestContext } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { describe, expect, test } from "vitest";
import { chat, postChat } from "../support/cluster.ts";
import { openDirectory } from "../support/directory.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
const key = "key-of-ann-0123456789";
const service = "dyn://test.service.run";

interface Home extends AsyncDisposable {
  readonly url: string;
  /** Those of the engine. */
  readonly contexts: RequestContext[];
  /** Those of the service that it calls. */
  readonly called: RequestContext[];
}

/** A frontend, an engine that calls a service, and that service. */
async function openHome(options: CreateFrontendOptions = {}): Promise<Home> {
  const runtime = await createRuntime({ config });
  const [contexts, called]: RequestContext[][] = [[], []];
  await runtime.endpoint(service).serve(async (_request, context) => void called?.push(context));
  const client = runtime.client(service);
  await serveModel(runtime, { model: "m" }, async function* (_request, context) {
    contexts?.push(context);
    await client.call({});
    yield { text: "a" };
  });
  const frontend = await createFrontend({ ...options, runtime, httpPort: 0 });
  return {
    url: frontend.url,
    contexts: contexts ?? [],
    called: called ?? [],
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await runtime.close();
    },
  };
}

const ask = { ...chat("x"), model: "m" };

describe("headers of a client", () => {
  const sent = { "X-Tenant": "acme", "x-other": "no", "accept-language": "de" };

  test("reach the engine if the frontend is told their names, and none does by default", async () => {
    await using home = await openHome({ forwardHeaders: ["x-tenant", "Accept-Language", "x-missing"] });
    expect((await postChat(home.url, ask, sent)).status).toBe(200);
    expect(home.contexts[0]?.headers).toEqual({ "x-tenant": "acme", "accept-language": "de" });
    await using closed = await openHome();
    expect((await postChat(closed.url, ask, sent)).status).toBe(200);
    expect(closed.contexts[0]?.headers).toEqual({});
  });

  test("that are too long to travel are refused, and not left out", async () => {
    await using home = await openHome({ forwardHeaders: ["x-tenant"] });
    const answer = await postChat(home.url, ask, { "x-tenant": "a".repeat(8_192) });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { message: "headers of 8200 bytes, limit 8192" } });
    expect(home.contexts).toEqual([]);
  });

  test.each([
    [["authorization"], "authorization is a credential: no worker is given those of clients"],
    [["x-tenant", "Cookie"], "cookie is a credential: no worker is given those of clients"],
    [["x tenant"], "expected names of headers, separated by commas"],
    [Array.from({ length: 33 }, (_, index) => `x-${index}`), "expected at most 32 names of headers"],
  ])("are not let through by the names %j", async (forwardHeaders, message) => {
    await using runtime = await createRuntime({ config });
    await expect(createFrontend({ runtime, httpPort: 0, forwardHeaders })).rejects.toThrow(
      `forwardHeaders: ${message}`,
    );
  });
});

test("the name of an API key reaches the engine and the service that it calls, the key does not", async () => {
  await using directory = await openDirectory("dyn-forwarded-");
  const apiKeysFile = join(directory.path, "keys");
  await writeFile(apiKeysFile, `${createHash("sha256").update(key).digest("hex")} team-a\n`);
  await using home = await openHome({ apiKeysFile });
  expect((await postChat(home.url, ask, { "x-api-key": key })).status).toBe(200);
  const seen = [...home.contexts, ...home.called];
  expect(seen.map(({ apiKeyName }) => apiKeyName)).toEqual(["team-a", "team-a"]);
  expect(JSON.stringify(seen.map(({ identity, headers }) => [identity, headers]))).not.toContain(key);
});

test("an HTTP request, its engine and the service that the engine calls are one request in one trace", async () => {
  await using home = await openHome();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const answer = await postChat(home.url, ask, {
    traceparent,
    "x-request-id": "mine",
    "x-request-timeout-ms": "60000",
  });
  const [context, called] = [home.contexts[0], home.called[0]];
  expect(called?.requestId).toBe(answer.headers.get("request-id"));
  expect(called).toMatchObject({ requestId: context?.requestId, xRequestId: "mine" });
  expect(called?.trace.traceId).toBe("0af7651916cd43dd8448eb211c80319c");
  expect(called?.deadlineAt).toBeLessThanOrEqual(performance.now() + 60_000);
});
