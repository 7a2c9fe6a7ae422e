/** What a soak says: a line now and then, and a table with a sentence at its end. */
import type { Chaos } from "./chaos.ts";
import type { Client } from "./client.ts";
import type { Ending } from "./ending.ts";
import type { Ledger } from "./ledger.ts";
import type { MemoryWatch } from "./memory-watch.ts";

export interface Seen {
  readonly ledger: Ledger;
  readonly client: Client;
  readonly chaos: Chaos;
  readonly memory: readonly MemoryWatch[];
  readonly ending: Ending;
  readonly seed: number;
  readonly minutes: number;
}

const progressMs = 5_000;
const faults = ["failed", "lost", "duplicated", "mismatched"] as const;

/** Say now and then how it goes, with what was told since. Until disposed. */
export function startReport({
  ledger,
  client,
  memory,
  ending,
  minutes,
}: Omit<Seen, "chaos" | "seed">): { tell(event: string): void } & Disposable {
  let [told, answered]: [string[], number] = [[], 0];
  const report = (): void => {
    for (const watch of memory) watch.sample();
    const { counts } = ledger;
    const rate = ((counts.answered - answered) / progressMs) * 1000;
    answered = counts.answered;
    const sizes = memory.map(({ name, current }) => `${name}: ${current?.toFixed(0) ?? "?"} MiB`);
    const parts = [
      `${formatTime(ending.elapsedMs)} of ${formatTime(minutes * 60_000)}`,
      `${counts.answered} answered, ${rate.toFixed(0)}/s${ending.isOver ? `, waiting for ${ledger.open}` : ""}`,
      faults.map((fault) => `${counts[fault]} ${fault}`).join(", "),
      sizes.join(", "),
      client.retries > 0 ? `retried connections: ${client.retries}` : "",
      told.join("; "),
    ];
    console.log(parts.filter((part) => part !== "").join("  "));
    told = [];
  };
  const timer = setInterval(report, progressMs);
  return {
    tell: (event) => void told.push(event),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function formatTime(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Print the table and what it comes to. @returns whether something was answered and all was right. */
export function printVerdict(seen: Seen): boolean {
  const { ledger, client, chaos, memory, seed } = seen;
  const { counts } = ledger;
  const happened = Array.from(chaos.counts.values()).reduce((sum, count) => sum + count, 0);
  const rows: (readonly [name: string, value: string])[] = [
    ["seed", String(seed)],
    ["asked", `${counts.asked}: ${counts.answered} answered, ${counts.left} left by their clients`],
    ["disturbances", String(happened)],
    ...Array.from(chaos.counts, ([kind, count]) => [`  ${kind}`, String(count)] as const),
    ["needed more than one attempt", String(counts.failedOver)],
    ["connections tried again", String(client.retries)],
    ...faults.map((fault) => [fault, String(counts[fault])] as const),
  ];
  for (const watch of memory) {
    const summary = watch.summary();
    if (!summary) {
      rows.push([`memory of ${watch.name}`, "not known on this system, or over too soon"]);
      continue;
    }
    const { first, last, slope } = summary;
    const growth =
      slope === undefined
        ? "too short to judge, it still warms up (10 minutes)"
        : `slope of the last two thirds ${slope.toFixed(2)} MiB/min`;
    rows.push([`memory of ${watch.name}`, `${first.toFixed(1)} to ${last.toFixed(1)} MiB, ${growth}`]);
  }
  for (const [name, value] of rows) console.log(`${name.padEnd(30)} ${value}`);
  console.log(`\n${summarize(seen, happened)}`);
  return counts.answered > 0 && faults.every((fault) => counts[fault] === 0);
}

function summarize({ ledger: { counts }, ending, minutes }: Seen, happened: number): string {
  const cut =
    ending.reason === undefined
      ? ""
      : `ended after ${formatTime(ending.elapsedMs)} of ${formatTime(minutes * 60_000)} by ${ending.reason}: `;
  const wrong = faults.filter((fault) => counts[fault] > 0).map((fault) => `${counts[fault]} ${fault}`);
  if (wrong.length > 0) return `${cut}not every answer was right: ${wrong.join(", ")}`;
  if (counts.answered === 0) return `${cut}nothing was answered, so nothing is known`;
  return `${cut}every answer was right${happened > 0 ? "" : ", but nothing was disturbed"}`;
}
