// Which models of the server behind a worker are served, and when; and several of them.
import { startUpstreamWorker, type UpstreamWorkerOptions } from "@dyn/upstream-worker";
import { describe, expect, test } from "vitest";
import { eventually } from "../support/cluster.ts";
import { piece, sendEvents, sendJson, startScriptedServer } from "./scripted-server.ts";
import { useSetup } from "./setup.ts";

const current = useSetup();

describe("which models are served", () => {
  test("all that the upstream lists, as long as it lists them, with their lengths", async () => {
    const setup = current();
    await setup.server[Symbol.asyncDispose]();
    setup.server = await startScriptedServer([{ id: "a", max_model_len: 4_096 }, { id: "b" }, { id: 3 }, "junk"]);
    const worker = await current().startWorker();
    expect(worker.models).toEqual(["a", "b"]);
    await current().whenListed("a", "b");
    current().server.list = (response) => sendJson(response, 200, { data: [{ id: "b" }, { id: "c" }] });
    await current().whenListed("b", "c");
    current().server.list = (response) => sendJson(response, 500, { error: "broken" });
    await current().whenListed();
    expect(worker.models).toEqual([]);
    current().server.list = (response) => sendJson(response, 200, { data: [{ id: "b" }] });
    await current().whenListed("b");
  });

  test("those that are named, by names of one's own, also of a server without a list", async () => {
    current().server.list = (response) => sendJson(response, 404, {});
    await current().startWorker({ modelName: ["small=org/model=7b"] });
    await current().whenListed("small");
    current().server.answer = (response) => {
      sendEvents(response, piece({ content: "hi" }, "stop"), "[DONE]");
      response.end();
    };
    await current().ask({ model: "small" });
    expect(current().server.heard[0]?.body).toMatchObject({ model: "org/model=7b" });
  });

  test("a server that comes later is served when it has come", async () => {
    const setup = current();
    const { port } = setup.server;
    await setup.server[Symbol.asyncDispose]();
    const worker = await setup.startWorker();
    expect(worker.models).toEqual([]);
    setup.server = await startScriptedServer([{ id: "late" }], port);
    await current().whenListed("late");
  });

  test.each([
    ["no list", { data: "up" }],
    ["a list of too many", { data: Array.from({ length: 300 }, (_, index) => ({ id: `m${index}` })) }],
    ["a list that is too large", { data: ["a".repeat(5 * 1024 * 1024)] }],
    ["an error with status 200", { error: { message: "broken" } }],
  ])("%s in place of the models serves none", async (_what, body) => {
    current().server.list = (response) => sendJson(response, 200, body);
    const worker = await current().startWorker();
    expect(worker.models).toEqual([]);
  });

  test("one failed look takes nothing away, and no look that hangs", async () => {
    const worker = await current().startWorker({ connectTimeoutMs: 200 });
    await current().whenListed("up");
    let looks = 0;
    const { server } = current();
    const { list } = server;
    server.list = (response) => {
      looks += 1;
      if (looks % 2 === 1) return sendJson(response, 500, {});
      expect(worker.models).toEqual(["up"]);
      return list(response);
    };
    await eventually("ten looks", () => looks >= 10);
    expect(worker.models).toEqual(["up"]);
    server.list = () => undefined;
    await eventually("a model withdrawn", () => worker.models.length === 0);
  });

  test("a key file that cannot be read is named by the health check, with the reason", async () => {
    const config = { discoveryBackend: "mem", log: "off", systemPort: 0 } as const;
    await using worker = await startUpstreamWorker({ url: current().server.url, apiKeyFile: "/nowhere/key", config });
    const health = await fetch(`http://127.0.0.1:${worker.systemPort}/health`);
    expect(await health.text()).toContain("the API key file /nowhere/key cannot be read: ENOENT");
  });

  test("with one port for two models the first is served, and the health check says what is wrong", async () => {
    const free = await startScriptedServer();
    await free[Symbol.asyncDispose]();
    const { server } = current();
    server.list = (response) => sendJson(response, 200, { data: [{ id: "a" }, { id: "b" }] });
    const config = { discoveryBackend: "mem", log: "off", tcpPort: free.port, systemPort: 0 } as const;
    await using worker = await startUpstreamWorker({ url: server.url, healthIntervalMs: 20, config });
    expect(worker.models).toEqual(["a"]);
    const health = await fetch(`http://127.0.0.1:${worker.systemPort}/health`);
    expect(health.status).toBe(503);
    expect(await health.text()).toContain(`cannot listen on`);
  });

  test.each([
    [{}, "say where the upstream's API begins"],
    [{ url: "ftp://x" }, "expected the address of an API"],
    [{ url: "http://user:secret@host/v1" }, "give --api-key-file"],
    [{ url: "http://host/v1", modelName: ["=x"] }, "expected names of 1 to 256 characters"],
    [{ url: "http://host/v1", capabilities: ["telepathy"] }, "expected one of tools"],
  ])("%j is refused", async (options, message) => {
    await expect(startUpstreamWorker(options as UpstreamWorkerOptions)).rejects.toThrow(message);
  });
});

test("of two upstreams the one that fails before its first token costs nobody an answer", async () => {
  await using other = await startScriptedServer();
  await current().startWorker();
  await current().startWorker({ url: other.url });
  await eventually("two instances", async () => {
    const health = (await (await fetch(`${current().url}/health`)).json()) as { instances?: unknown[] };
    return health.instances?.length === 2;
  });
  current().server.answer = (response) => void response.destroy();
  other.answer = (response) => {
    sendEvents(response, piece({ content: "hi" }, "stop"), "[DONE]");
    response.end();
  };
  for (let request = 0; request < 6; request += 1)
    expect((await current().ask()).choices[0]?.message.content).toBe("hi");
  expect(current().server.heard.length).toBeGreaterThan(0);
});
