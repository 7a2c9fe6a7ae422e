// The picture: as it was looked at and found good, at any width, and safe whatever a log contains.
import { describe, expect, test } from "vitest";
import { parseTime } from "../../packages/lineage/src/logs/times.ts";
import { formatTime } from "../../packages/runtime/src/logging/format.ts";
import { formatMs } from "../../packages/lineage/src/terminal.ts";
import { drawTree } from "../../packages/lineage/src/show/timeline.ts";
import type { RequestTree } from "../../packages/lineage/src/tree.ts";
import { readRecording, recordings, toBytes, traceBytes, type RecordedLine } from "./recordings.ts";

async function rebuild(name: string, lines: readonly RecordedLine[] = readRecording(name)): Promise<RequestTree> {
  const { trees } = await traceBytes(String(lines[0]?.fields["request_id"]), toBytes(lines));
  expect(trees).toHaveLength(1);
  return trees[0] as RequestTree;
}

async function draw(name: string, columns = 100): Promise<string> {
  return drawTree(await rebuild(name), { columns, color: false });
}

const start = Date.UTC(2026, 10, 24, 12);

/** A tree with round times. */
const tree: RequestTree = {
  request_id: "f52be7a9-8809-408c-9140-4fd7ca0dd680",
  x_request_id: "order-4711",
  trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
  state: "completed",
  request: {
    method: "POST",
    uri: "/v1/chat/completions",
    model: "mock",
    request_type: "stream",
    received_at: formatTime(start),
    ended_at: formatTime(start + 100),
    elapsed_ms: 100,
    ttft_ms: 50,
    avg_itl_ms: 5,
    input_tokens: 3,
    output_tokens: 11,
    http_status: 200,
    status: "success",
  },
  attempts: [
    {
      attempt: 0,
      worker_id: "1",
      started_at: formatTime(start + 5),
      ended_at: formatTime(start + 10),
      elapsed_ms: 5,
      outcome: "connection_failed",
      error_type: "cannot_connect",
      error: "cannot connect to 10.0.0.1:9: refused",
      sent: false,
      workers: [],
    },
    {
      attempt: 1,
      worker_id: "2",
      started_at: formatTime(start + 20),
      ended_at: formatTime(start + 90),
      elapsed_ms: 70,
      outcome: "success",
      sent: true,
      workers: [
        {
          instance_id: "2",
          namespace: "dynamo",
          component: "backend",
          endpoint: "generate",
          received_at: formatTime(start + 30),
          ended_at: formatTime(start + 80),
          elapsed_ms: 50,
          ttft_ms: 10,
          items: 12,
          status: "success",
        },
      ],
    },
  ],
  strays: [],
  problems: [],
};

describe("the picture", () => {
  test("shows who, when and how, on one axis", () => {
    expect(`\n${drawTree(tree, { columns: 100, color: false })}`).toBe(`
request    f52be7a9-8809-408c-9140-4fd7ca0dd680
client id  order-4711
trace      4bf92f3577b34da6a3ce929d0e0e4736
asked      POST /v1/chat/completions, mock, stream
received   2026-11-24T12:00:00.000000Z
ended      success after 100 ms, 3 tokens in, 11 out, first after 50.0 ms, then one every 5.00 ms

                                    0       50.0 ms   100 ms
http request                        ░░░░░░░░░░░░████████████   100 ms  success            HTTP 200
└ attempt 0 at 1                     █                        5.00 ms  connection_failed  never sent
└ attempt 1 at 2                         █████████████████    70.0 ms  success
  └ worker dynamo/backend/generate         ░░░█████████       50.0 ms  success            12 items

attempt 0      cannot_connect: cannot connect to 10.0.0.1:9: refused

✓ the lineage is whole
`);
  });

  test("shows what nobody knows as such", async () => {
    const text = await draw("killed");
    expect(text).toMatch(/└ worker dynamo\/backend\/generate +╌+\? +\? +unknown\n/);
    expect(text).toMatch(/\nmissing {8}"request completed" of instance/);
    expect(text).toMatch(/✗ the lineage is not whole \(\d+ lines of 1 log\)\n$/);
  });

  test("shows a worker without a log", () => {
    const [, attempt] = tree.attempts;
    const text = drawTree(
      { ...tree, attempts: attempt ? [{ ...attempt, workers: [] }] : [] },
      { columns: 100, color: false },
    );
    expect(text).toMatch(/ {2}└ worker +╌+\? +\? +unknown {2}no log\n/);
  });

  test("puts a worker whose clock is off into the middle of its attempt", async () => {
    const hour = 3_600_000;
    const lines = readRecording("stream").map((line) =>
      line.fields["span_name"] === "handle_payload"
        ? { ...line, fields: { ...line.fields, time: formatTime(parseTime(String(line.fields["time"])) + hour) } }
        : line,
    );
    const text = drawTree(await rebuild("stream", lines), { columns: 120, color: false });
    expect(text).toMatch(/└ worker dynamo\/backend\/generate {4,}░*█+ +\S+ ms {2}success {2}8 items, clock \+3600 s\n/);
    expect(text).toContain("✓ the lineage is whole");
  });

  test.each(recordings)("of %s stays within the terminal, but for words that are longer", async (name) => {
    for (const columns of [60, 72, 100, 160, 250]) {
      for (const line of (await draw(name, columns)).split("\n"))
        expect(line.length, line).toBeLessThanOrEqual(columns);
    }
  });

  test("has an axis although an attempt that ended too late does not say how long it was", () => {
    const late = { attempt: 0, ended_at: formatTime(start + 3_000), outcome: "success", sent: true, workers: [] };
    const text = drawTree({ ...tree, attempts: [late] }, { columns: 100, color: false });
    expect(text).not.toContain("NaN");
    expect(text).toMatch(/^ +0 .* 3\.00 s$/m);
  });

  test("has colours only if asked for, and the same text with them", async () => {
    const tree = await rebuild("retry");
    const plain = drawTree(tree, { columns: 100, color: false });
    const colored = drawTree(tree, { columns: 100, color: true });
    expect(plain).not.toContain("\u001b");
    expect(colored).toContain("\u001b[32m");
    expect(colored.replace(/\u001b\[\d+m/g, "")).toBe(plain);
  });

  test("obeys nothing that a log contains", async () => {
    const evil = "\u001b]0;owned\u0007\u001b[2J\r\n\u202etxt\u009b31m";
    const lines = readRecording("killed").map((line) => ({
      ...line,
      fields: {
        ...line.fields,
        x_request_id: evil,
        model: evil,
        uri: evil,
        error: evil,
        status: evil,
        "request.outcome": evil,
        component: evil,
      },
    }));
    const text = drawTree(await rebuild("killed", lines), { columns: 100, color: false });
    expect(text.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
    expect(text).toContain("\\u001b]0;owned\\u0007");
  });
});

test.each([
  [0.4123, "0.41 ms"],
  [9.996, "10.0 ms"],
  [28.27, "28.3 ms"],
  [99.96, "100 ms"],
  [999.6, "1.00 s"],
  [61_234, "61.2 s"],
])("%d ms is written as %s", (ms, text) => {
  expect(formatMs(ms)).toBe(text);
});

test.each([
  ["2026-11-24T02:49:08.479825Z", Date.UTC(2026, 10, 24, 2, 49, 8) + 479.825],
  ["2026-11-24T02:49:08Z", Date.UTC(2026, 10, 24, 2, 49, 8)],
  ["2026-11-24T04:49:08.479825+02:00", Date.UTC(2026, 10, 24, 2, 49, 8) + 479.825],
  ["yesterday", Number.NaN],
  [undefined, Number.NaN],
])("the time %s is read to the microsecond", (text, expected) => {
  const time = parseTime(text);
  if (Number.isNaN(expected)) expect(time).toBeNaN();
  else expect(Math.abs(time - expected)).toBeLessThan(0.001);
  if (text?.endsWith("825Z")) expect(formatTime(time)).toBe(text);
});
