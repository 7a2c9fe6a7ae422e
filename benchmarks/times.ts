/** Rows of times: their quantiles side by side. */
import { median } from "./load.ts";
import type { Row } from "./table.ts";

export interface TimesLimit {
  readonly of: "p50" | "p99";
  readonly mostMs: number;
}

/** Heading over the values of such rows. */
export const timesHeading: string = `milliseconds ${formatCells(["p50", "p99", "max", "samples"])}`;

/** The row of some times, ms. */
export function toTimesRow(name: string, times: readonly number[], limit?: TimesLimit): Row {
  const sorted = times.toSorted((left, right) => left - right);
  const [p50, p99, max] = [median(sorted), quantile(sorted, 0.99), sorted.at(-1) ?? Number.NaN];
  const value = formatCells([p50, p99, max].map((ms) => ms.toFixed(1)).concat(String(sorted.length)));
  if (!limit) return { name, value };
  const { of, mostMs } = limit;
  return { name, value, limit: { isKept: { p50, p99 }[of] <= mostMs, text: `${of} at most ${mostMs} ms` } };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function formatCells(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(8)).join("");
}
