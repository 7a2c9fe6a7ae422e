/** What is fuzzed, and what a case may come to. */
import { isErrorCode, type ErrorCode } from "../../packages/runtime/src/error-table.ts";
import type { Corpus } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";

export interface Target {
  readonly name: string;
  /** The codes a refusal may have. */
  readonly codes: readonly ErrorCode[];
  /** Inputs known before; the kept ones of `seeds/<name>` are added to them. */
  readonly corpus: readonly Buffer[];
  /** Make a new input of the known ones. */
  mutate(random: Random, corpus: Corpus): Buffer;
  /** Take one input as the program would. @throws RuntimeError with one of `codes` if it is refused, anything else if a promise is broken. */
  feed(bytes: Buffer): void | Promise<void>;
}

/** A promise that does not hold. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export function assertThat(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new Broken(promise);
}

/** The code of a refusal that the target allows. The class does not matter: the frontend has its own copy of the runtime. */
export function refusalCode({ codes }: Target, thrown: unknown): ErrorCode | undefined {
  if (!(thrown instanceof Error) || thrown.name !== "RuntimeError" || !("code" in thrown)) return undefined;
  return isErrorCode(thrown.code) && codes.includes(thrown.code) ? thrown.code : undefined;
}

/** What a failure may be called in a line. */
export function describeThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const code = "code" in thrown ? ` ${String(thrown.code)}` : "";
  return `${thrown.name}${code}: ${thrown.message.slice(0, 300)}`;
}

/** Plain data are the same, as far as the way through msgpack keeps them: numbers by value (-0 is 0), undefined as null. */
export function isSame(left: unknown, right: unknown): boolean {
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null)
    return isSameScalar(left ?? null, right ?? null);
  if (left instanceof Uint8Array) return right instanceof Uint8Array && Buffer.from(left).equals(right);
  if (Array.isArray(left))
    return (
      Array.isArray(right) && left.length === right.length && left.every((item, index) => isSame(item, right[index]))
    );
  const [ours, theirs] = [toEntries(left), toEntries(right)];
  return (
    ours.size === theirs.size && [...ours].every(([key, value]) => theirs.has(key) && isSame(value, theirs.get(key)))
  );
}

function isSameScalar(left: unknown, right: unknown): boolean {
  if (typeof left === "bigint" || typeof right === "bigint") return String(left) === String(right); // 2^53 may be either
  return left === right || (Number.isNaN(left) && Number.isNaN(right));
}

function toEntries(value: object): Map<string, unknown> {
  return new Map(Object.entries(value));
}
