// One client hurts nobody else: what it can make a process keep, and for how long it can make others wait. The heap is small, so that what is kept whole ends the process soon.
import { expect, test } from "vitest";
import { eventually, startCluster, systemUrl, type Program } from "../support/cluster.ts";
import { dial } from "../support/http-client.ts";

const small = { NODE_OPTIONS: "--max-old-space-size=64", DYN_SYSTEM_PORT: "0" };

/** The exit code or signal; undefined while it runs. */
function endOf({ child }: Program): number | string | null {
  return child.exitCode ?? child.signalCode;
}

test("refused requests are not kept whole: many long names of models", async () => {
  await using cluster = await startCluster({ workers: 0, env: small });
  const body = JSON.stringify({ model: "x".repeat(4 * 1024 * 1024) });
  for (let index = 0; index < 16; index += 1) {
    const answer = await fetch(`${cluster.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      error: {
        message: `model must have at most 256 characters, not ${4 * 1024 * 1024}`,
        param: "model",
        code: "string_above_max_length",
      },
    });
  }
  expect(endOf(cluster.frontend)).toBeNull();
});

test.each(["a frontend", "the system server of a worker"])(
  "many requests that are sent at once, and no answer read: %s",
  async (whose) => {
    await using cluster = await startCluster({ env: small });
    const [worker] = cluster.workers;
    const port = Number(new URL(whose === "a frontend" ? cluster.url : systemUrl(worker)).port);
    const flood = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_560); // 64 KiB
    const greedy = Array.from({ length: 12 }, () => dial(port));
    for (const { socket } of greedy) socket.pause().write(flood);
    await eventually("all being sent", () => greedy.every(({ socket }) => socket.writableLength === 0));
    using other = dial(port);
    other.socket.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await eventually("an answer beside them", () => other.statuses().length === 1 || other.isClosed());
    expect(other.statuses()).toEqual([200]);
    greedy[0]?.socket.resume();
    await eventually(
      "all answers of one that reads them after all",
      () => greedy[0]?.statuses().length === 1_560 || greedy[0]?.isClosed(),
    );
    expect(greedy[0]?.statuses().filter((status) => status === 200)).toHaveLength(1_560);
    for (const client of greedy) client[Symbol.dispose]();
    expect([endOf(cluster.frontend), worker && endOf(worker)]).toEqual([null, null]);
  },
);

const million = 1_000_000;

function repeat(before: string, repeated: string, times: number, after: string): string {
  return `${before}${repeated.repeat(times)}${after}`;
}

const asked = '{"model":"mock","max_tokens":4,';
const said = `${asked}"messages":[{"role":"user","content":`;
const bodies: ReadonlyArray<readonly [path: string, body: string, status: number, answer: unknown]> = [
  [
    "chat/completions",
    repeat(`${said}"`, "a ", 22 * million, '"}]}'),
    413,
    error(/^the request is \d+ bytes on the plane, the worker's limit is 33554432/),
  ],
  [
    "completions",
    repeat(`${asked}"prompt":[`, "1,", 22 * million, "1]}"),
    400,
    error(/holds more than 2097152 values$/),
  ],
  [
    "completions",
    repeat(`${asked}"prompt":[`, "[1],", 11 * million, "[1]]}"),
    400,
    error(/holds more than 131072 lists and objects$/),
  ],
  [
    "chat/completions",
    repeat(`${said}[`, '{"type":"text","text":"a"},', million, "{}]}]}"),
    400,
    error(/holds more than 131072 lists and objects$/),
  ],
  [
    "chat/completions",
    repeat(`${said}"`, "a ", 16 * million, 'b"}],"n":128}'),
    200,
    { usage: { prompt_tokens: 16 * million + 1 } },
  ],
  ["messages/count_tokens", repeat(`${said}"`, "a ", 22 * million, 'b"}]}'), 200, { input_tokens: 22 * million + 1 }],
  [
    "completions",
    repeat(`${asked}"prompt":[`, "4294967295,", 1_048_575, "1]}"),
    200,
    { usage: { prompt_tokens: 1_048_576 } },
  ],
];

function error(message: RegExp): unknown {
  return { error: { message: expect.stringMatching(message) as string } };
}

/** Asks all the time; how long the longest answer took, ms. */
async function longestWait(url: string, signal: AbortSignal): Promise<number> {
  let longest = 0;
  while (!signal.aborted) {
    const askedAt = performance.now();
    const answer = await fetch(`${url}/live`);
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
    longest = Math.max(longest, performance.now() - askedAt);
  }
  return longest;
}

test("bodies of millions of words, token ids, lists and blocks at once: each has its answer, and others have theirs meanwhile", async () => {
  // All are read at once: the memory for requests would let some of them in only when others have ended.
  const env = { NODE_OPTIONS: "--max-old-space-size=512", DYN_HTTP_BODY_LIMIT_MB: "45", DYN_MEMORY_LIMIT_MB: "2000" };
  await using cluster = await startCluster({ env });
  const over = new AbortController();
  const ask = async ([path, body, status, expected]: (typeof bodies)[number]): Promise<void> => {
    const headers = { "content-type": "application/json" };
    const answer = await eventually("an answer once the worker has read what came before", async () => {
      const given = await fetch(`${cluster.url}/v1/${path}`, { method: "POST", headers, body });
      return given.status !== 529 && given;
    });
    expect([path, answer.status, await answer.json()]).toMatchObject([path, status, expected]);
  };
  const answered = Promise.all(bodies.map(ask)).finally(() => over.abort());
  const [longest] = await Promise.all([longestWait(cluster.url, over.signal), answered]);
  expect(longest).toBeLessThan(15_000); // before: 24 s for one of them, with a heap that was large enough to live through it
  expect([endOf(cluster.frontend), ...cluster.workers.map(endOf)]).toEqual([null, null]);
});
