// What is late is ended on both sides, in the API's own shape.
import { expect, test } from "vitest";
import { chat, lineOf, postChat, startCluster, type Cluster, type Line } from "../support/cluster.ts";

async function endings(cluster: Cluster, id: string): Promise<Line[]> {
  const programs = [cluster.frontend, ...cluster.workers];
  return Promise.all(programs.map((program) => lineOf(program, "request completed", { x_request_id: id })));
}

const late = { level: "ERROR", status: "error", error_type: "response_timeout", error_detail: "deadline exceeded" };

// Each waits for its limit: all at once.
test.concurrent.each([
  ["a first token", ["--first-token-timeout-ms", "2000"], ["--ttft-ms", "600000"], {}, "no first token within 2000 ms"],
  [
    "an answer as a whole",
    ["--request-timeout-ms", "2000"],
    ["--itl-ms", "30"],
    {},
    "the answer was not complete within 2000 ms",
  ],
  [
    "what the client asked for",
    [],
    ["--itl-ms", "30"],
    { "x-request-timeout-ms": "2000" },
    "the answer was not complete within 2000 ms",
  ],
  ["a further token", ["--token-timeout-ms", "2000"], ["--fault", "hang@3"], {}, "no further token within 2000 ms"],
])(
  "%s that is late is a 504, and the worker is told to stop",
  async (_name, frontendArgs, workerArgs, headers, message) => {
    await using cluster = await startCluster({ frontendArgs, workerArgs });
    expect((await postChat(cluster.url, chat(""))).status).toBe(200); // connected: the time is for the request to get there
    const response = await postChat(cluster.url, chat("w ".repeat(500)), { "x-request-id": "late", ...headers });
    expect(response.status).toBe(504);
    expect(await response.json()).toEqual({ error: { message, type: "server_error", param: null, code: "timeout" } });
    const [ours, theirs] = await endings(cluster, "late");
    expect(ours).toMatchObject(late);
    expect(theirs).toMatchObject(late);
    expect((await postChat(cluster.url, chat(""), { "x-request-timeout-ms": "60000" })).status).toBe(200);
  },
);

test("a stream that has begun ends with an error event", async () => {
  await using cluster = await startCluster({
    frontendArgs: ["--token-timeout-ms", "1000"],
    workerArgs: ["--fault", "hang@3"],
  });
  const response = await postChat(cluster.url, chat("a b c d e", { stream: true }), { "x-request-id": "late" });
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text.trimEnd().split("\n\n").at(-1)).toBe(
    'data: {"error":{"message":"no further token within 1000 ms","type":"server_error","param":null,"code":"timeout"}}',
  );
  const [ours] = await endings(cluster, "late");
  expect(ours).toMatchObject({ ...late, output_tokens: 3 });
  const messages = await fetch(`${cluster.url}/v1/messages`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "mock",
      max_tokens: 9,
      stream: true,
      messages: [{ role: "user", content: "a b c d e" }],
    }),
  });
  expect(await messages.text()).toContain('event: error\ndata: {"type":"error","error":{"type":"timeout_error"');
});

test("a limit that is none is a 400 that names the header", async () => {
  await using cluster = await startCluster();
  const response = await postChat(cluster.url, chat("hi"), { "x-request-timeout-ms": "soon" });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    error: { message: expect.stringContaining("x-request-timeout-ms header must be") },
  });
});

test("the time left travels to the worker, which keeps it by itself", async () => {
  await using cluster = await startCluster({ workerArgs: ["--ttft-ms", "600000"] });
  const answer = postChat(cluster.url, chat("hi"), { "x-request-id": "stopped", "x-request-timeout-ms": "4000" });
  await lineOf(cluster.workers[0], "request received");
  cluster.frontend.kill("SIGSTOP"); // it can tell nobody anything
  try {
    const line = await lineOf(cluster.workers[0], "request completed");
    expect(line).toMatchObject({ status: "error", error_type: "response_timeout" });
  } finally {
    cluster.frontend.kill("SIGCONT");
  }
  expect((await answer).status).toBe(504);
});
