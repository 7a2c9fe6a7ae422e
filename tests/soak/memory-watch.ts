/** Resident memory of a process over time. */
import { residentMib } from "../memory.ts";

export interface MemoryWatch {
  readonly name: string;
  /** MiB now; undefined where the system does not say. */
  readonly current: number | undefined;
  sample(): void;
  /** First and last, MiB, and the slope of a straight line through the last two thirds, MiB a minute. */
  summary(): { readonly first: number; readonly last: number; readonly slope: number } | undefined;
}

export function watchMemory(name: string, pid: number, now: () => number): MemoryWatch {
  const samples: (readonly [minutes: number, mib: number])[] = [];
  return {
    name,
    get current() {
      return samples.at(-1)?.[1];
    },
    sample() {
      const mib = residentMib(pid);
      if (mib === undefined) return;
      samples.push([now() / 60_000, mib]);
      // Hours become a picture with half as many points, not a longer one.
      if (samples.length > 2_000) samples.splice(0, samples.length, ...samples.filter((_, index) => index % 2 === 0));
    },
    summary() {
      const [first, last] = [samples[0]?.[1], samples.at(-1)?.[1]];
      if (first === undefined || last === undefined) return undefined;
      return { first, last, slope: slopeOf(samples.slice(Math.floor(samples.length / 3))) };
    },
  };
}

// Least squares.
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const [meanX, meanY] = [0, 1].map((axis) => points.reduce((sum, point) => sum + (point[axis] ?? 0), 0) / points.length) as [number, number];
  let above = 0;
  let below = 0;
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
