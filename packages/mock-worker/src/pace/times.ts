/** How long tokens take: a fixed time, or one drawn from a distribution. */
import { maxTimerMs } from "@dyn/runtime/internal";
import { toShare } from "../hash.ts";

/** Times, ms: of each request of a worker and each token. The same worker draws the same ones in the same order. */
export interface Times {
  /** Undefined if they differ. */
  readonly fixedMs: number | undefined;
  at(request: number, token: number): number;
}

const shape = /^(normal|lognormal)\(\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*\)$/;

/** A number, or a text that is one or names a distribution: `normal(200,50)` and `lognormal(200,50)` have the mean 200 and the standard
 *  deviation 50. @throws Error saying what was expected. */
export function parseTimes(text: string): number | string {
  const given = text.trim();
  const [, , mean] = shape.exec(given) ?? [];
  if (mean !== undefined && Number(mean) <= maxTimerMs) return given;
  const value = given === "" ? Number.NaN : Number(given);
  if (value >= 0 && value <= maxTimerMs) return value;
  throw new Error(`expected a number from 0 to ${maxTimerMs}, normal(MEAN,SD) or lognormal(MEAN,SD)`);
}

/** `seed` decides what is drawn. */
export function createTimes(given: number | string, seed: number): Times {
  const [, kind, meanText, sdText] = shape.exec(String(given)) ?? [];
  if (kind === undefined) {
    const ms = Number(given);
    return { fixedMs: ms, at: () => ms };
  }
  const [mean, sd] = [Number(meanText), Number(sdText)];
  const draw = kind === "normal" ? toNormal(mean, sd) : toLogNormal(mean, sd);
  return { fixedMs: undefined, at: (request, token) => Math.min(draw(toDeviate(seed, request, token)), maxTimerMs) };
}

type Draw = (deviate: number) => number;

function toNormal(mean: number, sd: number): Draw {
  return (deviate) => Math.max(0, mean + sd * deviate);
}

// Mean and deviation are those of the times, not of their logarithms. https://en.wikipedia.org/wiki/Log-normal_distribution#Arithmetic_moments
function toLogNormal(mean: number, sd: number): Draw {
  if (mean === 0) return () => 0;
  const variance = Math.log(1 + (sd / mean) ** 2);
  const centre = Math.log(mean) - variance / 2;
  return (deviate) => Math.exp(centre + Math.sqrt(variance) * deviate);
}

// Of the standard normal distribution, from two shares (Box and Muller).
function toDeviate(seed: number, request: number, token: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - toShare(seed, request, 2 * token)));
  return radius * Math.cos(2 * Math.PI * toShare(seed, request, 2 * token + 1));
}
