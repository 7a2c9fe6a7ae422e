/** Times of day as the log has them. */

/** Unix time in ms of an RFC 3339 time, down to microseconds; NaN if it is none. */
export function parseTime(text: string | undefined): number {
  const match = /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text ?? "");
  return match ? Date.parse(`${match[1]}${match[3]}`) + Number(match[2] ?? 0) * 1000 : Number.NaN;
}

/** RFC 3339 in UTC with microseconds, as in the log. */
export function formatTime(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  const micros = Math.min(999_999, Math.round((epochMs - second * 1000) * 1000));
  return `${new Date(second * 1000).toISOString().slice(0, -5)}.${String(micros).padStart(6, "0")}Z`;
}

/** The order of two times; what has none comes last. */
export function compareTimes(left: number, right: number): number {
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || (Number.isNaN(left) ? 0 : left - right);
}
