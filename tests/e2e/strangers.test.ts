// What people without a key do to the log: it tells of all of them, in a few lines.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chat, eventually, postChat, startCluster, type Line, type Program } from "../support/cluster.ts";
import { dial } from "../support/http-client.ts";
import { openDirectory } from "../support/directory.ts";

const key = "sk-key-of-team-a-0123456789";
const many = 300;

/** How many a line tells of. */
const countOf = ({ count }: Line): number => Number(count ?? 1);
const sum = (lines: readonly Line[]): number => lines.reduce((total, line) => total + countOf(line), 0);

async function stop(program: Program): Promise<Line[]> {
  program.kill("SIGTERM");
  await program.exited;
  return program.lines();
}

async function send(port: number, bytes: string): Promise<void> {
  using client = dial(port);
  client.socket.write(bytes);
  await eventually("the end", client.isClosed);
}

test("requests without a key are a few lines and exact counts, and one with a key has its own", async () => {
  await using directory = await openDirectory("dyn-strangers-");
  const keysFile = join(directory.path, "keys");
  await writeFile(keysFile, `${createHash("sha256").update(key).digest("hex")} team-a\n`);
  await using cluster = await startCluster({ frontendArgs: ["--api-keys-file", keysFile] });
  const head = "HTTP/1.1\r\nHost: a\r\nrequest-id: none\r\nx-request-id:\r\n";
  const port = Number(new URL(cluster.url).port);
  using client = dial(port);
  client.socket.write(`POST /v1/chat/completions ${head}Content-Length: 0\r\n\r\n`.repeat(many));
  await eventually("the refusals", () => client.statuses().length === many);
  client.socket.write(`GET /nope ${head}\r\n`.repeat(many));
  await eventually("more refusals", () => client.statuses().length === 2 * many);
  expect(client.statuses()).toEqual([
    ...Array.from({ length: many }, () => 401),
    ...Array.from({ length: many }, () => 404),
  ]);
  await Promise.all(Array.from({ length: many }, () => send(port, "garbage\r\n\r\n")));
  const answer = await postChat(cluster.url, chat("one"), { authorization: `Bearer ${key}`, "x-request-id": "known" });
  expect(answer.status).toBe(200);
  expect((await fetch(`${cluster.url}/v1/models`)).status).toBe(401);
  const metrics = await (await fetch(`${cluster.url}/metrics`)).text();
  const lines = await stop(cluster.frontend);

  const completed = lines.filter(({ message, level }) => message === "request completed" && level === "ERROR");
  const ofEndpoint = (name: string): Line[] => completed.filter(({ endpoint }) => endpoint === name);
  expect([sum(ofEndpoint("chat_completions")), sum(ofEndpoint("unmatched"))]).toEqual([many, many]);
  expect(sum(lines.filter(({ message }) => message === "malformed HTTP refused"))).toBe(many);
  const withoutKey = lines.filter(({ message }) => message === "request without a known key refused");
  expect(sum(withoutKey)).toBe(many + 1); // those of lists, too
  expect(withoutKey[0]).toMatchObject({ level: "WARN", remote: "127.0.0.1", status: 401, uri: "/v1/chat/completions" });
  expect(completed.find(({ count, endpoint }) => count !== undefined && endpoint === "unmatched")).toMatchObject({
    uri: "/nope",
    status: "error",
  });
  const [, counted] = /^dynamo_frontend_requests_total\{[^}]*endpoint="unmatched"[^}]*\} (\d+)$/m.exec(metrics) ?? [];
  expect(Number(counted)).toBe(many);
  expect(lines.length).toBeLessThan(0.5 * 3 * many); // of periods of ten seconds there may be a few
  const own = lines.filter((line) => line["x_request_id"] === "known").map(({ message }) => message);
  expect(own).toEqual(["request received", "http response sent", "request completed"]);
});

test("callers of a worker that do not speak its language are a few lines, with an exact count", async () => {
  await using cluster = await startCluster();
  const [worker] = cluster.workers;
  if (!worker) throw new Error("there is one");
  const serving = worker.lines().find(({ message }) => message === "endpoint is serving");
  const port = Number(String(serving?.["address"]).split(":")[1]);
  await Promise.all(Array.from({ length: many }, () => send(port, "GET / HTTP/1.1\r\n\r\n")));
  const refused = (await stop(worker)).filter(({ message }) => message === "connection refused");
  expect(sum(refused)).toBe(many);
  expect(refused.length).toBeLessThan(many / 2);
  expect(refused.at(-1)).toMatchObject({
    level: "WARN",
    remote: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    reason: expect.any(String),
  });
});
