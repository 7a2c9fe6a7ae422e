/** How a benchmark is asked and what it says: a table whose rows have limits, and a verdict. */
import { parseArgs } from "node:util";

export interface Row {
  readonly name: string;
  readonly value: string;
  /** What the value must be: the predicate's answer, and its text. Without it the row is for reading. */
  readonly limit?: { readonly isKept: boolean; readonly text: string };
}

/** A row with a limit on its number. */
export function atMost(name: string, value: number, most: number, unit = "", digits = 1): Row {
  return {
    name,
    value: `${value.toFixed(digits)}${unit}`,
    limit: { isKept: value <= most, text: `at most ${most}${unit}` },
  };
}

/** A row with a limit on its number. */
export function atLeast(name: string, value: number, least: number, unit = "", digits = 3): Row {
  return {
    name,
    value: `${value.toFixed(digits)}${unit}`,
    limit: { isKept: value >= least, text: `at least ${least}${unit}` },
  };
}

export interface Bench {
  /** As in package.json. */
  readonly script: string;
  readonly about: string;
  /** How long it takes, roughly, s. */
  readonly seconds: number;
  /** Flags without a value, with what they do. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Heading over the values. */
  readonly heading?: string;
  readonly measure: (flags: ReadonlySet<string>) => Promise<readonly Row[]>;
}

/** Say that a step begins, and how long the run has taken until then, on stderr. */
export function sayStep(name: string): void {
  console.error(`${(performance.now() / 1_000).toFixed(0).padStart(5)} s  ${name}`);
}

/** Read the flags, measure, print the table. The exit code is 1 if a limit is missed, 2 if it could not be measured. */
export async function runBench({ script, about, seconds, flags = {}, heading = "", measure }: Bench): Promise<void> {
  const lines = Object.entries({ ...flags, help: "show this" }).map(([flag, text]) => `  --${flag.padEnd(8)} ${text}`);
  const usage = `npm run ${script} [-- FLAGS]: ${about}. Takes about ${seconds} s, and needs Linux (/proc).\n\n${lines.join("\n")}`;
  const given = readFlags([...Object.keys(flags), "help"]);
  if (given instanceof Error) {
    console.error(`${given.message}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  if (given.has("help")) return console.log(usage);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130)); // takes its fleet along
  console.log(`measuring, about ${seconds} s …`);
  try {
    const rows = await measure(given);
    if (!rows.some(({ limit }) => limit)) throw new Error("nothing was measured that has a limit");
    if (printTable(rows, heading) > 0) process.exitCode = 1;
  } catch (error) {
    console.error(`${script}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 2;
  }
}

function readFlags(names: readonly string[]): ReadonlySet<string> | Error {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: "boolean" } as const]));
    return new Set(Object.keys(parseArgs({ options }).values));
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** @returns how many limits are missed. */
function printTable(rows: readonly Row[], heading: string): number {
  const [nameWidth, valueWidth] = [rows.map(({ name }) => name), [heading, ...rows.map(({ value }) => value)]].map(
    (texts) => Math.max(...texts.map(({ length }) => length)),
  ) as [number, number];
  if (heading) console.log(`${" ".repeat(nameWidth)}  ${heading.padStart(valueWidth)}`);
  for (const { name, value, limit } of rows) {
    const verdict = limit ? `  ${limit.isKept ? "ok    " : "MISSED"}  ${limit.text}` : "";
    console.log(`${name.padEnd(nameWidth)}  ${value.padStart(valueWidth)}${verdict}`);
  }
  const limits = rows.flatMap(({ limit }) => (limit ? [limit] : []));
  const missed = limits.filter(({ isKept }) => !isKept).length;
  console.log(
    missed === 0 ? `\nall ${limits.length} limits are kept` : `\n${missed} of ${limits.length} limits missed`,
  );
  return missed;
}
