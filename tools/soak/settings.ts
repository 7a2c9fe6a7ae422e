/** What a soak is told on its command line. */
import { parseArgs } from "node:util";

export interface Settings {
  readonly minutes: number;
  readonly seed: number;
  readonly lanes: number;
}

export const help = `npm run soak -- [--minutes N] [--seed N] [--lanes N]

Two frontends and nine mock workers on this machine under a mixed load, while workers are killed, leave, are stopped or fail,
records are lost, and a frontend restarts: each of these once, which takes about a minute, then at random. Some clients dawdle,
some leave. Ends with 0 if every answer was right. Ctrl-C ends it early; it still says what it has seen.

--minutes N   how long (default 1)
--seed N      what is asked and what happens follows from it (default: the time)
--lanes N     clients at a time (default 24)
`;

/** @returns undefined if help is asked for. @throws if they are not to be understood. */
export function readSettings(args: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "1" },
      seed: { type: "string", default: String(Date.now() >>> 0) },
      lanes: { type: "string", default: "24" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return undefined;
  const read = (name: "minutes" | "seed" | "lanes", wanted: string, isRight: (value: number) => boolean): number => {
    const [text, value] = [values[name], Number(values[name])];
    if (text.trim() === "" || !isRight(value))
      throw new Error(`--${name}: expected ${wanted}, got ${JSON.stringify(text)}`);
    return value;
  };
  return {
    minutes: read("minutes", "a number above 0", (value) => value > 0 && Number.isFinite(value)),
    seed: read(
      "seed",
      "a whole number up to 4294967295",
      (value) => Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff,
    ),
    lanes: read(
      "lanes",
      "a whole number from 1 to 10000",
      (value) => Number.isInteger(value) && value >= 1 && value <= 10_000,
    ),
  };
}
