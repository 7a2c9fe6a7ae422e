// One budget of memory for all requests: whatever many clients hold at the same time, the process lives, says no by name, and has all of it back afterwards.
import { once } from "node:events";
import { expect, test } from "vitest";
import { chat, eventually, postChat, startCluster, type Program } from "../support/cluster.ts";
import { dial, type Client } from "../support/http-client.ts";
import { peakMib } from "../support/memory.ts";

const mib = 1024 * 1024;
const small = { NODE_OPTIONS: "--max-old-space-size=512" };

interface Memory {
  readonly used: number;
  readonly limit: number;
  readonly refusals: number;
}

async function memoryOf(url: string): Promise<Memory> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const read = (name: string): number =>
    Number(new RegExp(`^dynamo_request_memory_${name} (\\S+)$`, "m").exec(text)?.[1]);
  return { used: read("used_bytes"), limit: read("limit_bytes"), refusals: read("refusals_total") };
}

/** A POST whose body is as long as `length` says, or chunked. */
function post(port: number, length: number | "chunked"): Client {
  const client = dial(port);
  const body = length === "chunked" ? "transfer-encoding: chunked" : `content-length: ${length}`;
  client.socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${body}\r\n\r\n`,
  );
  return client;
}

async function send({ socket }: Client, bytes: string): Promise<void> {
  if (!socket.write(bytes) && !socket.destroyed) await Promise.race([once(socket, "drain"), once(socket, "close")]);
}

function expectAlive({ child }: Program): void {
  expect(child.exitCode ?? child.signalCode).toBeNull();
}

async function allGivenBack(url: string): Promise<void> {
  await eventually("all memory given back", async () => (await memoryOf(url)).used === 0);
}

test("unfinished bodies: those that do not fit are refused before they are read, small requests and /live are answered", async () => {
  await using cluster = await startCluster({ env: small, frontendArgs: ["--http-body-limit-mb", "16"] });
  const port = Number(new URL(cluster.url).port);
  const stated = Array.from({ length: 30 }, () => post(port, 16 * mib));
  await eventually(
    "an answer to those that do not fit",
    () => stated.filter((client) => client.statuses().length > 0).length >= 27,
  );
  const refused = stated.filter((client) => client.statuses().length > 0);
  expect(refused.map((client) => client.statuses())).toEqual(refused.map(() => [529]));
  expect(refused[0]?.text()).toMatch(/^retry-after: 1\r$/m);
  expect(refused[0]?.text()).toContain('"code":"overloaded"');
  expect(refused[0]?.text()).toMatch(
    /there is no memory for \d+ bytes more: \d+ are taken of the \d+ bytes that requests may take, set by DYN_MEMORY_LIMIT_MB/,
  );
  const taken = await memoryOf(cluster.url);
  expect(taken.used).toBeGreaterThan((30 - refused.length) * 48 * mib);
  expect(taken.refusals).toBe(refused.length);
  expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  expect((await fetch(`${cluster.url}/live`)).status).toBe(200);
  for (const client of stated) client[Symbol.dispose]();
  await allGivenBack(cluster.url);

  const chunked = Array.from({ length: 20 }, () => post(port, "chunked"));
  const piece = `${(256 * 1024).toString(16)}\r\n${" ".repeat(256 * 1024)}\r\n`;
  for (let sent = 0; sent < 20; sent += 1)
    await Promise.all(chunked.filter((client) => client.statuses().length === 0).map((client) => send(client, piece)));
  await eventually("some being refused", () => chunked.some((client) => client.statuses().length > 0));
  expect(chunked.flatMap((client) => client.statuses()).every((status) => status === 529)).toBe(true);
  expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  for (const client of chunked) client[Symbol.dispose]();
  await allGivenBack(cluster.url);
  expectAlive(cluster.frontend);
  const peak = peakMib(cluster.frontend.pid);
  if (peak !== undefined) expect(peak).toBeLessThan(600);
});

test("prompts that wait for a place: those that do not fit are refused, and what they took is given back when their clients leave", async () => {
  const workerArgs = ["--max-num-seqs", "1", "--ttft-ms", "600000"];
  await using cluster = await startCluster({ env: small, workerArgs });
  const leave = new AbortController();
  const prompt = chat("word ".repeat((5 * mib) / 5));
  const statuses = Array.from({ length: 20 }, () =>
    postChat(cluster.url, prompt, {}, leave.signal).then(({ status }) => status, String),
  );
  const none = Symbol("waiting");
  const refused = await eventually("some being refused", async () => {
    const settled = await Promise.all(statuses.map((each) => Promise.race([each, Promise.resolve(none)])));
    const { used, limit } = await memoryOf(cluster.url);
    return (
      used > limit / 2 && settled.filter((each) => each !== none).length >= 5 && settled.filter((each) => each !== none)
    );
  });
  expect(refused.every((status) => status === 529)).toBe(true);
  expect((await fetch(`${cluster.url}/live`)).status).toBe(200);
  leave.abort();
  await Promise.all(statuses);
  await allGivenBack(cluster.url);
  expectAlive(cluster.frontend);
  for (const worker of cluster.workers) expectAlive(worker);
});

test("streams that nobody reads hold little, and what each may hold is counted", async () => {
  await using cluster = await startCluster({ env: small, workerArgs: ["--migration-limit", "0"] });
  const port = Number(new URL(cluster.url).port);
  const count = 40;
  const body = JSON.stringify(chat("a ".repeat(50_000), { stream: true })); // as events 12 MB, far more than the systems' buffers take
  const before = peakMib(cluster.frontend.pid) ?? 0;
  const deaf = Array.from({ length: count }, () => {
    const client = post(port, body.length);
    client.socket.pause();
    client.socket.write(body);
    return client;
  });
  const tokensOf = async (): Promise<number> => {
    const text = await (await fetch(`${cluster.url}/metrics`)).text();
    return Number(/^dynamo_frontend_output_tokens_total\{\S+ (\d+)$/m.exec(text)?.[1] ?? 0);
  };
  let [tokens, looks] = [0, 0];
  await eventually("all of them standing still", async () => {
    const now = await tokensOf();
    looks = now > 0 && now === tokens ? looks + 1 : 0;
    tokens = now;
    return looks > 50;
  });
  const { used } = await memoryOf(cluster.url);
  expect(used).toBeGreaterThan(count * 64 * 1024);
  expect(tokens).toBeLessThan(count * 50_000);
  const peak = peakMib(cluster.frontend.pid);
  if (peak !== undefined) expect(peak - before).toBeLessThan(260); // it was 430, and is 90 on a machine with nothing else to do
  for (const client of deaf) client[Symbol.dispose]();
  await allGivenBack(cluster.url);
  expectAlive(cluster.frontend);
});
