// Draining: what a program finishes, cuts and says between its first signal and its end.
import { expect, test } from "vitest";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  release,
  startCluster,
  type ClusterOptions,
  type Line,
} from "../support/cluster.ts";
import { dial } from "../support/http-client.ts";

// A request is held after its first two tokens until it is released, however long that takes.
const held: ClusterOptions = { workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } };

test("a worker on SIGTERM finishes what is running and exits 0", async () => {
  await using cluster = await startCluster(held);
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await lineOf(cluster.workers[0], "request received");
  cluster.workers[0]?.kill("SIGTERM");
  await eventually("the model being gone", async () => (await fetch(`${cluster.url}/v1/models/mock`)).status === 503);
  for (const gone of [await fetch(`${cluster.url}/v1/models/mock`), await postChat(cluster.url, chat("hi"))]) {
    expect([gone.status, gone.headers.get("retry-after")]).toEqual([503, "1"]); // another worker may be about to come
  }
  expect(cluster.workers[0]?.child.exitCode).toBeNull(); // it still runs its request
  await release(cluster.workers[0]);
  expect((await answer).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(await cluster.workers[0]?.exited).toBe(0);
  const elapsed_ms: unknown = expect.any(Number);
  const stopped = { level: "INFO", target: "dyn_runtime", message: "stopped", finished: 1, cut: 0, elapsed_ms };
  expect(cluster.workers[0]?.lines().at(-1)).toMatchObject(stopped);
});

test("a worker whose drain takes too long says how many requests it has cut", async () => {
  await using cluster = await startCluster({
    workerArgs: ["--fault", "hang@2", "--migration-limit", "0", "--drain-timeout-ms", "0"],
  });
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await lineOf(cluster.workers[0], "request received");
  cluster.workers[0]?.kill("SIGTERM");
  expect(await answer).toContain("the worker is shutting down");
  expect(await cluster.workers[0]?.exited).toBe(0);
  expect(cluster.workers[0]?.lines().at(-1)).toMatchObject({ message: "stopped", finished: 0, cut: 1 });
});

test("a worker whose drain takes too long ends its requests with an error and exits 0", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2", "--drain-timeout-ms", "100"] });
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await lineOf(cluster.workers[0], "request received");
  cluster.workers[0]?.kill("SIGTERM");
  expect(await cluster.workers[0]?.exited).toBe(0);
  const text = await answer;
  expect(text).toContain('"error":');
  expect(text).not.toContain("[DONE]");
  const warned = cluster.workers[0]
    ?.lines()
    .find(({ message }) => message === "drain timed out, running requests are killed");
  expect(warned).toMatchObject({ level: "WARN", drain_timeout_ms: 100 });
  const completed = cluster.workers[0]?.lines().find(({ message }) => message === "request completed");
  expect(completed).toMatchObject({
    level: "ERROR",
    status: "error",
    error_type: "unavailable",
    error: "the worker is shutting down",
  });
});

test("a frontend on SIGTERM finishes what is running and exits 0", async () => {
  await using cluster = await startCluster(held);
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await lineOf(cluster.workers[0], "request received");
  cluster.frontend.kill("SIGTERM");
  await eventually("the drain", () =>
    cluster.frontend.lines().some(({ message }) => String(message).startsWith("shutdown requested")),
  );
  await release(cluster.workers[0]);
  expect((await answer).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(await cluster.frontend.exited).toBe(0);
  expect(cluster.frontend.lines().at(-1)).toMatchObject({
    level: "INFO",
    target: "dyn_frontend",
    message: "stopped",
    finished: 1,
    cut: 0,
  });
});

test("a frontend on SIGTERM answers what had been sent to it before, on new connections and on idle ones", async () => {
  await using cluster = await startCluster();
  const port = Number(new URL(cluster.url).port);
  const body = JSON.stringify(chat("a b c"));
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  const idle = Array.from({ length: 10 }, () => dial(port));
  for (const { socket } of idle) socket.write(head + body);
  await eventually("the first answers", () => idle.every(({ text }) => text().endsWith("}")));
  cluster.frontend.kill("SIGSTOP"); // it hears of nothing that is sent now before the signal
  const fresh = Array.from({ length: 50 }, () => dial(port));
  for (const { socket } of [...idle, ...fresh]) socket.write(head + body);
  await eventually("all being sent", () =>
    [...idle, ...fresh].every(({ socket }) => socket.readyState === "open" && socket.writableLength === 0),
  );
  cluster.frontend.kill("SIGTERM");
  cluster.frontend.kill("SIGCONT");
  expect(await cluster.frontend.exited).toBe(0);
  await eventually("the end of all", () => [...idle, ...fresh].every(({ isClosed }) => isClosed()));
  expect(idle.map(({ statuses }) => statuses())).toEqual(idle.map(() => [200, 200]));
  expect(fresh.map(({ statuses }) => statuses())).toEqual(fresh.map(() => [200]));
});

test("a frontend whose drain takes too long says so to its clients, blames no worker and exits 0", async () => {
  const settings = ["--http-graceful-shutdown-timeout-secs", "1"];
  await using cluster = await startCluster({ ...held, frontendArgs: settings });
  const stream = await postChat(cluster.url, chat("a b c d", { stream: true }));
  const unary = postChat(cluster.url, chat("a b c d"));
  await eventually(
    "both requests",
    () => cluster.workers[0]?.lines().filter(({ message }) => message === "request received").length === 2,
  );
  cluster.frontend.kill("SIGTERM");
  expect((await stream.text()).split("\n\n").at(-2)).toBe(
    'data: {"error":{"message":"the frontend is shutting down","type":"server_error","param":null,"code":"service_unavailable"}}',
  );
  const refused = await unary;
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({
    error: { message: "the frontend is shutting down", code: "service_unavailable" },
  });
  expect(await cluster.frontend.exited).toBe(0);
  const linesOf = (message: string): Line[] => cluster.frontend.lines().filter((line) => line["message"] === message);
  const gone = expect.objectContaining({
    level: "ERROR",
    error_type: "unavailable",
    error: "the frontend is shutting down",
  });
  expect(linesOf("request completed")).toEqual([gone, gone]);
  expect(linesOf("drain timed out, running requests are ended")).toEqual([
    expect.objectContaining({ level: "WARN", requests: 2, timeout_secs: 1 }),
  ]);
  expect(cluster.frontend.stderr()).not.toContain("closed the connection");
  expect(linesOf("stopped")).toEqual([expect.objectContaining({ finished: 0, cut: 2 })]);
  const atWorker = await eventually("the worker's lines", () => {
    const lines = cluster.workers[0]?.lines().filter(({ message }) => message === "request completed");
    return lines?.length === 2 && lines;
  });
  for (const line of atWorker) expect(line).toMatchObject({ level: "INFO", status: "cancelled" });
});

async function stageOf(url: string): Promise<unknown> {
  const response = await fetch(`${url}/health`);
  return { status: response.status, stage: ((await response.json()) as { stage?: string }).stage };
}

test("a frontend that delays its drain takes requests on new connections while its health says draining; a second signal ends it", async () => {
  await using cluster = await startCluster({ frontendArgs: ["--drain-delay-ms", "600000"] });
  cluster.frontend.kill("SIGTERM");
  const requested = await eventually("the drain", () =>
    cluster.frontend.lines().find(({ message }) => String(message).startsWith("shutdown requested")),
  );
  expect(requested).toMatchObject({ signal: "SIGTERM", delay_ms: 600_000 });
  expect(await stageOf(cluster.url)).toEqual({ status: 503, stage: "draining" });
  expect((await fetch(`${cluster.url}/live`)).status).toBe(200);
  for (let index = 0; index < 3; index += 1) {
    const answer = await postChat(cluster.url, chat("still here"));
    expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"]); // so the next one is a new connection
  }
  cluster.frontend.kill("SIGTERM");
  expect(await cluster.frontend.exited).toBe("SIGTERM");
});

test("a frontend that delays its drain begins it when the delay is over, and finishes what has come meanwhile", async () => {
  await using cluster = await startCluster({ ...held, frontendArgs: ["--drain-delay-ms", "5000"] }); // the request has to come within that
  const signalledAt = performance.now();
  cluster.frontend.kill("SIGTERM");
  await eventually("the drain", async () => JSON.stringify(await stageOf(cluster.url)).includes("draining"));
  const answer = await postChat(cluster.url, chat("a b c d", { stream: true }));
  const isDeaf = (): Promise<boolean> =>
    fetch(`${cluster.url}/live`)
      .then(() => false)
      .catch(() => true);
  await eventually("the end of the delay", isDeaf);
  expect(performance.now() - signalledAt).toBeGreaterThan(4_990);
  await release(cluster.workers[0]);
  expect((await answer.text()).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(await cluster.frontend.exited).toBe(0);
  const stopped = cluster.frontend.lines().at(-1);
  expect(stopped).toMatchObject({ message: "stopped", cut: 0 });
  expect(stopped?.["elapsed_ms"]).toBeGreaterThan(4_990); // since the signal
});

test.each(["dyn-frontend", "dyn-mock-worker"])("a second signal ends %s at once", async (name) => {
  await using cluster = await startCluster(held);
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).catch(() => undefined);
  await lineOf(cluster.workers[0], "request received");
  const program = name === "dyn-frontend" ? cluster.frontend : cluster.workers[0];
  program?.kill("SIGTERM");
  await eventually("the drain", () =>
    program?.lines().some(({ message }) => String(message).startsWith("shutdown requested")),
  );
  program?.kill("SIGTERM");
  expect(await program?.exited).toBe("SIGTERM");
  await (await answer)?.text().catch(() => undefined);
});
