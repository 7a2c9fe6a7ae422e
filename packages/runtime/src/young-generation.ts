/** How large V8's young generation may grow. Left alone, Node.js lets it reach 128 MiB under any load: most of what a frontend then takes, for a gain within the noise of the machine it was measured on. */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/** Both of its halves together. */
const mostBytes = 16 * 1024 * 1024;

export interface YoungGenerationOptions {
  /** What Node.js was started with: its arguments, and those of NODE_OPTIONS. */
  readonly flags: readonly string[];
  /** How often its size is looked at. Default 250 ms. */
  readonly everyMs?: number;
}

/** For commands: keep it at 16 MiB from now on, until disposed. A size that was given to Node.js itself stays as it is.
 *  V8 reads its flag for the size when it starts, and a second start would cost more than all else; the factor to grow by it reads each time. */
export function holdYoungGeneration({ flags, everyMs = 250 }: YoungGenerationOptions): Disposable {
  if (flags.some((flag) => /semi[-_]space/.test(flag))) return { [Symbol.dispose]: () => undefined };
  const look = (): void => setFlagsFromString(`--semi-space-growth-factor=${youngBytes() * 2 <= mostBytes ? 2 : 1}`);
  look();
  const timer = setInterval(look, everyMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space")?.space_size ?? 0;
}
