// What a client, or the proxy before it, hears while a worker thinks.
import { expect, test } from "vitest";
import { chat, eventually, lineOf, postChat, startCluster, type Cluster } from "../support/cluster.ts";

const word = ": keep-alive\n\n";

interface Reading {
  readonly status: number;
  text(): string;
  readonly ended: Promise<void>;
}

async function read(response: Response): Promise<Reading> {
  let text = "";
  const take = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk as Uint8Array).toString();
  };
  const ended = take();
  await eventually("two words", () => text.startsWith(word + word));
  return { status: response.status, text: () => text, ended };
}

async function askSilent({ url }: Cluster, headers: Readonly<Record<string, string>> = {}): Promise<Reading> {
  return read(await postChat(url, chat("a b c", { stream: true }), headers));
}

const quick = ["--sse-keep-alive-ms", "20"];
const silent = ["--ttft-ms", "600000"];

test("a stream that fails after it has been kept open ends with an error event, a unary answer with its own status and no byte before", async () => {
  await using cluster = await startCluster({ frontendArgs: quick, workerArgs: silent });
  const stream = await askSilent(cluster, { "x-request-id": "kept" });
  cluster.workers[0]?.kill("SIGKILL");
  await stream.ended;
  expect(stream.status).toBe(200);
  expect(stream.text().replaceAll(word, "")).toBe(
    'data: {"error":{"message":"the connection to the worker was lost","type":"server_error","param":null,"code":"worker_disconnected"}}\n\n',
  );
  const line = await lineOf(cluster.frontend, "request completed", { x_request_id: "kept" });
  expect(line).toMatchObject({ status: "error", error_type: "unavailable", output_tokens: 0 });
  await cluster.addWorker();
  const unary = await postChat(cluster.url, chat("a b c"), { "x-request-timeout-ms": "400" });
  expect([unary.status, (await unary.text()).startsWith("{")]).toEqual([504, true]);
});

test.each([
  ["before it has been kept open", []],
  ["where none is kept open", ["--sse-keep-alive-ms", "0"]],
])("a stream that fails %s is a plain error with its own status", async (_name, args) => {
  await using cluster = await startCluster({
    frontendArgs: ["--first-token-timeout-ms", "100", ...args],
    workerArgs: silent,
  });
  const response = await postChat(cluster.url, chat("a b c", { stream: true }));
  expect(response.status).toBe(504);
  expect(await response.json()).toMatchObject({ error: { code: "timeout" } });
});

test("a stream that is kept open goes on at another worker", async () => {
  await using cluster = await startCluster({ frontendArgs: quick, workerArgs: silent });
  const stream = await askSilent(cluster);
  await cluster.addWorker("--ttft-ms", "0");
  cluster.workers[0]?.kill("SIGKILL");
  await stream.ended;
  expect(stream.text()).toContain('"content":"a"');
  expect(stream.text().endsWith("data: [DONE]\n\n")).toBe(true);
});

test("a stream that is kept open is told of the end of the frontend", async () => {
  await using cluster = await startCluster({
    frontendArgs: [...quick, "--http-graceful-shutdown-timeout-secs", "0"],
    workerArgs: silent,
  });
  const stream = await askSilent(cluster);
  cluster.frontend.kill("SIGTERM");
  await stream.ended;
  expect(stream.text().replaceAll(word, "")).toMatch(
    /^data: \{"error":\{"message":"the frontend is shutting down"[^\n]*\n\n$/,
  );
  expect(await cluster.frontend.exited).toBe(0);
});
