// More requests than a deployment can take: what is refused is told so at once, and the rest is served.
import { connect } from "node:net";
import { expect, test } from "vitest";
import { chat, eventually, postChat, startCluster, type Cluster, type Line } from "../support/cluster.ts";

const held = chat("a b c d", { stream: true });

function linesOf(cluster: Cluster, id: string): Line[] {
  return cluster.frontend
    .lines()
    .filter((line) => line["x_request_id"] === id && line["target"] === "dyn_frontend::request_log");
}

test("a worker at its limits refuses with 529 and Retry-After, and serves again when a request has ended", async () => {
  await using cluster = await startCluster({
    workerArgs: ["--fault", "hang@2", "--max-num-seqs", "1", "--request-queue-limit", "1"],
  });
  const running = await postChat(cluster.url, held);
  const aborter = new AbortController();
  const waiting = postChat(cluster.url, chat("second"), {}, aborter.signal).then(
    () => "answered",
    () => "left",
  );
  const received = (): number =>
    cluster.workers[0]?.lines().filter(({ message }) => message === "request received").length ?? 0;
  await eventually("one waiting", () => received() === 2);
  const refused = await postChat(cluster.url, chat("third"), { "x-request-id": "third" });
  expect([refused.status, refused.statusText, refused.headers.get("retry-after")]).toEqual([529, "Overloaded", "1"]);
  const type = "overloaded_error";
  const message = "1 place is taken and 1 request is waiting, the limits of this worker";
  expect(await refused.json()).toEqual({ error: { message, type, param: null, code: "overloaded" } });
  const completed = await eventually("its line", () =>
    linesOf(cluster, "third").find((line) => line["message"] === "request completed"),
  );
  expect(completed).toMatchObject({ status: "error", error_type: "overload" });
  aborter.abort();
  expect(await waiting).toBe("left");
  const isGone = ({ message, status }: Line): boolean => message === "request completed" && status === "cancelled";
  await eventually("its leaving the worker", () => cluster.workers[0]?.lines().some(isGone));
  const next = postChat(cluster.url, chat("fourth"));
  await eventually("the place in the queue", () => received() === 3); // the one that left gave it up
  await running.body?.cancel();
  expect((await next).status).toBe(200);
});

test("the frontend refuses over its own limit, before the body, with its pair of lines and the status that was chosen", async () => {
  const frontendArgs = ["--max-concurrent-requests", "1", "--http-overload-status-code", "503"];
  await using cluster = await startCluster({ frontendArgs, workerArgs: ["--fault", "hang@2"] });
  const running = await postChat(cluster.url, held);
  const { hostname, port } = new URL(cluster.url);
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.on("error", () => undefined); // a server that refuses may reset
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  const head = [
    "POST /v1/messages HTTP/1.1",
    "host: localhost",
    "x-request-id: early",
    "content-type: application/json",
    "content-length: 1000000",
  ];
  socket.write([...head, "", "{"].join("\r\n")); // the rest of the body never comes
  await eventually("the refusal", () => answer.includes("overloaded_error"));
  socket.destroy();
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer.toLowerCase()).toContain("retry-after: 1");
  await eventually("its lines", () => linesOf(cluster, "early").length === 3);
  expect(linesOf(cluster, "early").map(({ message }) => message)).toEqual([
    "request received",
    "http response sent",
    "request completed",
  ]);
  expect((await fetch(`${cluster.url}/health`)).status).toBe(200); // only inference is limited
  await running.body?.cancel();
  await eventually("its place being free", async () => (await postChat(cluster.url, chat("hi"))).status === 200);
});
