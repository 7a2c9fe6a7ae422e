// What a running frontend says of its requests.
import { expect, test } from "vitest";
import { chat, lineOf, postChat, startCluster, startProgram } from "../support/cluster.ts";
import { completed, getRequest } from "./traced.ts";

test("GET /v1/requests/{id} shows a request while it runs and when it is over, by either id", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"] });
  const aborter = new AbortController();
  const response = await postChat(
    cluster.url,
    chat("word ".repeat(500), { stream: true }),
    { "x-request-id": "a/b_c?" },
    aborter.signal,
  );
  await response.body?.getReader().read();
  const requestId = String(response.headers.get("request-id"));
  const running = await getRequest(cluster.url, requestId);
  expect(running).toMatchObject({
    status: 200,
    body: {
      request_id: requestId,
      x_request_id: "a/b_c?",
      state: "running",
      request: { endpoint: "chat_completions", model: "mock", request_type: "stream", http_status: 200, attempts: 1 },
      attempts: [{ attempt: 0, sent: true, workers: [] }],
      problems: [],
    },
  });
  aborter.abort();
  await completed([cluster.frontend], "a/b_c?");
  const over = await getRequest(cluster.url, "a/b_c?");
  expect(over.body).toMatchObject({
    request_id: requestId,
    state: "completed",
    request: { status: "cancelled", error_type: "cancelled" },
    attempts: [{ outcome: "cancelled" }],
    problems: [],
  });
  expect(await getRequest(cluster.url, `chatcmpl-${requestId}`)).toEqual(over);
  // An operator's route: no inference request of its own.
  expect(await getRequest(cluster.url, "nobody")).toMatchObject({
    status: 404,
    body: { error: { type: "invalid_request_error", code: "request_not_found" } },
  });
  const received = cluster.frontend.lines().filter(({ message }) => message === "request received");
  expect(received).toHaveLength(1);
});

test("the history keeps as many requests as it is told to, and can be off", async () => {
  await using cluster = await startCluster({ frontendArgs: ["--request-history", "3"] });
  for (let index = 0; index < 5; index += 1) {
    const response = await postChat(cluster.url, chat("hi"), { "x-request-id": index < 4 ? "same" : "other" });
    expect(response.status).toBe(200);
  }
  await completed([cluster.frontend], "other");
  const { body } = await getRequest(cluster.url, "same");
  expect(body["others"]).toHaveLength(1);
  await using off = startProgram("dyn-frontend", ["--http-port", "0"], {
    DYN_FILE_KV: cluster.directory,
    DYN_REQUEST_HISTORY: "0",
  });
  const listening = await lineOf(off, "frontend is listening");
  const answer = await getRequest(String(listening["url"]), "same");
  expect(answer.status).toBe(404);
  expect(JSON.stringify(answer.body)).toContain("--request-history 0");
});
