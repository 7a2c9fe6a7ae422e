/** Durations as lines and answers have them. */

/** Milliseconds, to the microsecond: what clocks say beyond that is noise. */
export function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
