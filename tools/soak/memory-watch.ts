/** Resident memory of a process over time. */
import { residentMib } from "../../tests/support/memory.ts";

export interface MemoryWatch {
  readonly name: string;
  /** MiB now; undefined where the system does not say. */
  readonly current: number | undefined;
  sample(): void;
  /** First and last, MiB, and the slope of a straight line through the last two thirds, MiB a minute; undefined while it still warms up. */
  summary(): { readonly first: number; readonly last: number; readonly slope: number | undefined } | undefined;
}

/** Code is compiled and heaps find their size until then: growth says nothing. */
const warmMinutes = 10;

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
      const [first, last] = [samples[0], samples.at(-1)];
      if (!first || !last) return undefined;
      const isWarm = last[0] - first[0] >= warmMinutes - 0.5; // it is looked at now and then
      return {
        first: first[1],
        last: last[1],
        slope: isWarm ? slopeOf(samples.slice(Math.floor(samples.length / 3))) : undefined,
      };
    },
  };
}

// Least squares.
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const [meanX, meanY] = [0, 1].map(
    (axis) => points.reduce((sum, point) => sum + (point[axis] ?? 0), 0) / points.length,
  ) as [number, number];
  let above = 0;
  let below = 0;
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return below === 0 ? 0 : above / below;
}
