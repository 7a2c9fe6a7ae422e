/** Times of day as the log has them. */

/** Unix time in ms of an RFC 3339 time, down to microseconds; NaN if it is none. */
export function parseTime(text: string | undefined): number {
  const match = /^(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text ?? "");
  return match ? Date.parse(`${match[1]}${match[3]}`) + Number(match[2] ?? 0) * 1000 : Number.NaN;
}

/** The order of two times; what has none comes last. */
export function compareTimes(left: number, right: number): number {
  return Number(Number.isNaN(left)) - Number(Number.isNaN(right)) || (Number.isNaN(left) ? 0 : left - right);
}
