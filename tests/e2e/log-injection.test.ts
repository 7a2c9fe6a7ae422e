// Whatever a client sends, and wherever: the lines of its request have the keys of a clean request's, each once, in order, and no line more.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, startProgram, type Program } from "../support/cluster.ts";
import { parseJsonLine, parseReadableLine, type StrictLine } from "../support/log-lines.ts";
import { evilModel, json, places } from "./hostile-values.ts";
import { sendRaw, type RawRequest } from "../support/raw-http.ts";

const evilWorker = `import { startMockWorker } from "@dyn/mock-worker";
await startMockWorker({ environment: process.env, modelName: ${JSON.stringify(evilModel)}, component: "evil" });`;

/** A line of a request that has an event, of one that went well or not. */
function isLifecycle({ values }: StrictLine): boolean {
  const target = String(values.get("target"));
  return (
    /^(?:request (?:received|completed)|http response (?:sent|finished))$/.test(String(values.get("message"))) &&
    ["dyn_frontend::request_log", "dyn_runtime::ingress::push_handler"].includes(target)
  );
}

describe.each([
  ["jsonl", parseJsonLine],
  ["readable", parseReadableLine],
] as const)("%s", (format, parseLine) => {
  const programs: Program[] = [];
  const sent = new Map<string, readonly string[]>();
  let directory = "";
  let url = "";

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "dyn-injection-"));
    const env = { DYN_FILE_KV: directory, DYN_LOGGING_CONSOLE_FORMAT: format, DYN_LOG_REFUSALS: "1000" };
    const frontend = startProgram("dyn-frontend", ["--http-port", "0"], env);
    programs.push(frontend, startProgram("dyn-mock-worker", [], env));
    programs.push(startProgram("node", ["--input-type=module", "--eval", evilWorker], env));
    url = await eventually("the frontend listening", () => /http:\/\/[\d.]+:\d+/.exec(frontend.stderr())?.[0]);
    await eventually("both workers joining", () => frontend.stderr().match(/instance joined/g)?.length === 2);
  });

  afterAll(async () => {
    await Promise.all(programs.map((program) => program[Symbol.asyncDispose]()));
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  function rawLines(): string[] {
    return programs.flatMap((program) => program.stderr().split("\n").slice(0, -1));
  }

  function linesOf(id: string): StrictLine[] {
    return rawLines()
      .filter((line) => line.includes(id))
      .map(parseLine)
      .filter(({ values }) => values.get("request_id") === id);
  }

  // A message is fixed up to the value that two warnings quote.
  function shapesOf(lines: readonly StrictLine[]): string[] {
    return lines
      .map(({ keys, values }) => {
        const message = String(values.get("message")).replace(/(?<=got: ).*$/s, "…");
        return `${String(values.get("level"))} ${String(values.get("target"))}: ${message} | ${keys.join(" ")}`;
      })
      .toSorted();
  }

  async function send(request: RawRequest, count?: number): Promise<string[]> {
    const { head } = await sendRaw(url, request);
    const id = /^request-id: (.*)$/m.exec(head)?.[1] ?? "";
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    const lines = await eventually(`the lines of ${id}`, () => {
      const found = linesOf(id);
      const ends = found.filter(({ values }) => /request completed$|HTTP refused$/.test(String(values.get("message"))));
      const last = ends.find(({ values }) => String(values.get("target")).startsWith("dyn_frontend"));
      if (!last) return undefined;
      // Where a worker took part, its request ends too.
      const expected = Number(last.values.get("attempts") ?? 0) > 0 ? 2 : 1;
      return ends.length === expected && found.length >= (count ?? 0) && found;
    });
    const shapes = shapesOf(lines);
    sent.set(id, shapes);
    return shapes;
  }

  test.each(places)("$name adds, changes and doubles no key", async ({ clean, values, request }) => {
    const harmless = await send(request(clean));
    for (const value of values) {
      const hostile = await send(request(value), harmless.length);
      expect(hostile, JSON.stringify(value).slice(0, 200)).toEqual(harmless);
    }
  });

  test("values that are kept are kept to the letter", async () => {
    const requestId = randomUUID();
    const xRequestId = '","level":"ERROR","x":"\\u0022=';
    const tracestate = 'a=" level:ERROR \\"';
    await send({
      headers: [
        `request-id: ${requestId}`,
        `x-request-id: ${xRequestId}`,
        "traceparent: 00-12345678901234567890123456789012-1234567890123456-01",
        `tracestate: ${tracestate}`,
      ],
      body: json({ model: evilModel }),
    });
    const lines = linesOf(requestId);
    expect(lines).toHaveLength(5);
    for (const { values } of lines) {
      expect(values.get("x_request_id")).toBe(xRequestId);
      expect(values.get("tracestate")).toBe(tracestate);
      if (values.has("model")) expect(values.get("model")).toBe(evilModel);
    }
  });

  test("in the end every line is whole, in order, and none has come later", () => {
    const lines = rawLines().map(parseLine);
    for (const { keys } of lines) expect(keys.slice(0, 4)).toEqual(["time", "level", "target", "message"]);
    for (const { values } of lines.filter(isLifecycle))
      expect(values.get("event")).toBe(String(values.get("message")).replaceAll(" ", "_"));
    expect(sent.size).toBeGreaterThan(200);
    for (const [id, shapes] of sent) expect(shapesOf(linesOf(id))).toEqual(shapes);
    expect(
      lines.filter(({ values }) => values.has("request_id") && !sent.has(String(values.get("request_id")))),
    ).toEqual([]);
  });
});
