// Lines that anybody can cause: a few are written, the others are counted, and no count is lost.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createLogger, type Logger } from "../../support/logger.ts";
import { createSums, type Sums } from "../../../packages/runtime/src/logging/sums.ts";
import { root } from "../../support/cluster.ts";

interface Fixture {
  readonly log: Logger;
  readonly sums: Sums;
  /** Count and peer of each line so far. */
  readonly said: () => unknown[];
  readonly lines: readonly Record<string, unknown>[];
  /** The end of a period. */
  readonly pass: () => void;
  /** Whether somebody waits for it. */
  readonly isWaiting: () => boolean;
}

function openFixture(): Fixture {
  const lines: Record<string, unknown>[] = [];
  const sink = (line: Record<string, unknown>): void => void lines.push(line);
  let tell: (() => void) | undefined;
  const sums = createSums({
    later(call) {
      tell = call;
      return { [Symbol.dispose]: () => (tell = undefined) };
    },
  });
  return {
    log: createLogger({ sink, sums, target: "door" }),
    sums,
    said: () => lines.map(({ count, peer }) => [count, peer]),
    lines,
    pass: () => tell?.(),
    isWaiting: () => tell !== undefined,
  };
}

/** So many callers, of whom the first is 1. */
function knock(log: Logger, count: number): void {
  for (let peer = 1; peer <= count; peer += 1) log.summed("warn", { peer, reason: "unknown" }, "refused");
}

const whole = Array.from({ length: 10 }, (_, index) => [undefined, index + 1]);

test("ten lines are written in a period, the others are one line at its end, with their count and the first of them", () => {
  const { log, lines, said, pass } = openFixture();
  knock(log, 1_000);
  expect(said()).toEqual(whole);
  const [first] = lines;
  expect(first).toEqual({ level: "WARN", target: "door", message: "refused", peer: 1, reason: "unknown" });
  pass();
  expect(said()).toEqual([...whole, [990, 11]]);
  expect(lines.at(-1)).toEqual({ ...first, peer: 11, count: 990 });
  expect(Object.keys(lines.at(-1) ?? {})).toEqual(["level", "target", "message", "peer", "reason", "count"]);
});

test("each period begins anew, and nobody waits for one in which nothing happens", () => {
  const { log, said, pass, isWaiting } = openFixture();
  expect(isWaiting()).toBe(false);
  knock(log, 10);
  expect(isWaiting()).toBe(true);
  pass();
  expect(isWaiting()).toBe(false);
  knock(log, 12);
  pass();
  expect(said()).toEqual([...whole, ...whole, [2, 11]]);
});

test("what has been counted is written at the end, once", () => {
  const { log, sums, said, isWaiting } = openFixture();
  knock(log, 13);
  sums[Symbol.dispose]();
  sums[Symbol.dispose]();
  expect(said()).toEqual([...whole, [3, 11]]);
  expect(isWaiting()).toBe(false);
});

test("kinds, messages, levels and targets are counted apart", () => {
  const { log, said, pass } = openFixture();
  const say = (peer: number): void => {
    log.summed("warn", { peer }, "refused", { kind: "late" });
    log.summed("warn", { peer }, "refused", { kind: "foreign" });
    log.summed("info", { peer }, "refused");
    log.child({ target: "window" }).summed("warn", { peer }, "refused");
    log.summed("warn", { peer }, "refused, too");
  };
  for (let peer = 1; peer <= 12; peer += 1) say(peer);
  expect(said()).toHaveLength(50);
  pass();
  expect(said().slice(50)).toEqual(Array.from({ length: 5 }, () => [2, 11]));
});

test("lines that belong to one are written before it, and not if it is counted", () => {
  const { log, lines, pass } = openFixture();
  for (let peer = 1; peer <= 12; peer += 1)
    log.summed("warn", { peer }, "refused", { before: () => log.info({ peer }, "heard") });
  pass();
  expect(lines.slice(0, 2).map(({ message, peer }) => [message, peer])).toEqual([
    ["heard", 1],
    ["refused", 1],
  ]);
  expect(lines.filter(({ message }) => message === "heard")).toHaveLength(10);
  expect(lines.at(-1)).toMatchObject({ message: "refused", count: 2 });
});

test("lines below the level are neither written nor counted", () => {
  const { log, said, isWaiting } = openFixture();
  for (let peer = 1; peer <= 12; peer += 1) log.summed("debug", { peer }, "refused");
  expect([said(), isWaiting()]).toEqual([[], false]);
});

test("however many kinds there are, what is kept and written is bounded, and each line is told of", () => {
  const { log, lines, pass } = openFixture();
  for (let kind = 0; kind < 10_000; kind += 1) log.summed("warn", { peer: kind }, "refused", { kind: `${kind}` });
  pass();
  expect(lines.length).toBeLessThan(200);
  expect(lines.reduce((sum, { count }) => sum + Number(count ?? 1), 0)).toBe(10_000);
});

// A process may have many runtimes, and Node warns of more than ten listeners.
const leaving = `
import { openProcessLog } from ${JSON.stringify(join(root, "packages/runtime/dist/logging/process-log.js"))};
const settings = { log: "info", logJsonl: true, logConsoleFormat: "jsonl", logEvents: "", logSampleRatio: 1, logRefusals: 10 };
const logs = Array.from({ length: 10 }, () => openProcessLog(settings, Date.now));
for (let peer = 1; peer <= 13; peer += 1) logs[0].log.summed("warn", { peer }, "refused");
process.stdout.write(String(process.listenerCount("exit")));
process.exit();
`;

test("what has been counted is written when its process exits, and each log of a process is one listener for that", async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", leaving]);
  expect(stdout).toBe("10");
  const lines = stderr.trimEnd().split("\n");
  expect(
    lines.map((line) => JSON.parse(line) as Record<string, unknown>).map(({ count, peer }) => [count, peer]),
  ).toEqual([...whole, [3, 11]]);
});
