// `npm run fuzz -- --cases N --seed S --target NAME`: bytes nobody should send, to everything that reads bytes of others.
import { parseArgs } from "node:util";
import type { Failure, Summary } from "./campaign.ts";
import { keptAs } from "./live-cases.ts";
import { runLive, type LiveReport } from "./live.ts";
import { keepSeed } from "./seeds.ts";
import { targets } from "./targets.ts";
import { watchCampaign } from "./watch.ts";

/** The ports of running processes: a conversation takes as long as thousands of calls. */
const live = "live";
const names: readonly string[] = [...targets.map(({ name }) => name), live];
const usage = `npm run fuzz -- [options]

  --cases N      cases in all, shared by the targets (default 1000000); of live a hundredth, besides
  --seed S       a whole number; the same one makes the same cases (default: the time)
  --target NAME  one of ${names.join(", ")}; may be given several times (default: all)
  --hang-ms N    a case that takes longer hangs (default 10000)`;
const progressMs = 5_000;

interface Settings {
  readonly cases: number;
  readonly seed: number;
  readonly chosen: readonly string[];
  readonly hangMs: number;
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      cases: { type: "string", default: "1000000" },
      seed: { type: "string", default: String(Date.now() % 2 ** 31) },
      target: { type: "string", multiple: true, default: [...names] },
      "hang-ms": { type: "string", default: "10000" },
    },
  });
  const whole = (name: "cases" | "seed" | "hang-ms"): number => {
    const least = name === "seed" ? 0 : 1; // no case shows nothing
    if (!/^\d{1,12}$/.test(values[name]) || Number(values[name]) < least)
      throw new Error(`--${name} must be a whole number of at least ${least}`);
    return Number(values[name]);
  };
  const unknown = values.target.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`there is no target ${unknown}`);
  return { cases: whole("cases"), seed: whole("seed"), chosen: values.target, hangMs: whole("hang-ms") };
}

// The kept inputs come first, with indexes below 0.
function nameCase(index: number): string {
  return index < 0 ? `kept seed ${-index}` : `case ${index}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function sayFailure({ target, index, bytes, reason }: Failure, seed: number): void {
  const where = index < 0 && bytes.length === 0 ? "all cases" : nameCase(index); // of a leak nobody knows which
  console.log(`  FAILED ${target}, ${where} of seed ${seed}: ${reason}`);
  if (bytes.length > 0) console.log(`    ${bytes.length} bytes, in ${keepSeed(target, bytes, reason)}`);
}

function saySummary({ target, cases, seconds, outcomes, slowest, grownBytes }: Summary): void {
  const rate = Math.round(cases / seconds).toLocaleString("en");
  const counts = Object.entries(outcomes).map(([code, count]) => `${code} ${count}`);
  const slow = `slowest ${slowest.ms.toFixed(1)} ms (${nameCase(slowest.index)}, ${slowest.bytes} bytes)`;
  console.log(
    `${target.padEnd(13)} ${count(cases, "case").padStart(14)}  ${rate.padStart(8)}/s  ${slow}  held ${grownBytes < 0 ? "" : "+"}${Math.round(grownBytes / 1024)} KiB`,
  );
  console.log(`${" ".repeat(14)}${counts.join(", ")}`);
}

interface Outcome {
  readonly fed: number;
  readonly failed: number;
}

function createProgress(target: string, cases: number): (at: number) => void {
  let saidAt = performance.now();
  return (at) => {
    if (performance.now() - saidAt < progressMs) return;
    saidAt = performance.now();
    console.log(`  ${target}: ${at} of ${cases}`);
  };
}

async function runTarget(target: string, cases: number, { seed, hangMs }: Settings): Promise<Outcome> {
  const { summary, failures } = await watchCampaign({
    target,
    seed,
    cases,
    hangMs,
    onProgress: createProgress(target, cases),
  });
  if (summary) saySummary(summary);
  for (const failure of failures) sayFailure(failure, seed);
  return { fed: summary?.cases ?? 0, failed: Math.max(failures.length, summary?.failures ?? 0) };
}

async function runLiveTarget(cases: number, { seed }: Settings): Promise<Outcome> {
  try {
    const report = await runLive({ seed, cases, onProgress: createProgress(live, cases) });
    sayLive(report);
    for (const { door, ...failure } of report.failures) sayFailure({ ...failure, target: keptAs[door] }, seed);
    return { fed: report.cases, failed: report.failures.length };
  } catch (error) {
    console.log(`  FAILED ${live} of seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
    return { fed: 0, failed: 1 };
  }
}

function sayLive({ cases, seconds, answers, checks, grownBytes }: LiveReport): void {
  const statuses = Object.entries(answers).map(([status, count]) => `${status === "0" ? "none" : status} ${count}`);
  console.log(
    `${live.padEnd(13)} ${count(cases, "case").padStart(14)}  ${Math.round(cases / seconds)}/s  ${count(checks, "ordinary request")} answered in between`,
  );
  console.log(`${" ".repeat(14)}HTTP ${statuses.join(", ")}  resident ${Math.round(grownBytes / 1024)} KiB more`);
}

async function main(): Promise<number> {
  const settings = readSettings();
  const { cases, seed, chosen } = settings;
  const inThreads = chosen.filter((name) => name !== live);
  const share = Math.ceil(cases / Math.max(1, inThreads.length));
  const liveCases = Math.ceil(cases / 100);
  const parts = [
    ...(inThreads.length > 0 ? [`${count(share, "case")} for each of ${count(inThreads.length, "target")}`] : []),
    ...(chosen.includes(live) ? [`${count(liveCases, "case")} for ${live}`] : []),
  ];
  console.log(`seed ${seed}, ${parts.join(", ")}`);
  const startedAt = performance.now();
  const outcomes: Outcome[] = [];
  for (const target of inThreads) outcomes.push(await runTarget(target, share, settings));
  if (chosen.includes(live)) outcomes.push(await runLiveTarget(liveCases, settings));
  const fed = outcomes.reduce((sum, each) => sum + each.fed, 0);
  const failed = outcomes.reduce((sum, each) => sum + each.failed, 0);
  console.log(`${count(fed, "case")} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s, ${failed} failed`);
  return failed === 0 && fed > 0 ? 0 : 1;
}

try {
  process.exitCode = process.argv.includes("--help") ? 0 : await main();
  if (process.argv.includes("--help")) console.log(usage);
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exitCode = 2;
}
