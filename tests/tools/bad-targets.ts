/** Targets with every fault that the fuzz must notice. Each keeps its promise until its last case. */
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import { assertThat, type Target } from "../../tools/fuzz/target.ts";

/** How many cases each is given. */
export const badCases = 200;

function createBad(name: string, fail: () => void): Target {
  let fed = 0;
  return {
    name,
    codes: ["protocol"],
    corpus: [],
    mutate: (random) => Buffer.from([random.below(256), 7]),
    feed() {
      fed += 1;
      if (fed === badCases) fail();
      throw new RuntimeError("protocol", "refused");
    },
  };
}

const leaked: Buffer[] = [];

export const targets: readonly Target[] = [
  createBad("throws", () => {
    throw new TypeError("x is undefined");
  }),
  createBad("refuses", () => {
    throw new RuntimeError("internal", "of a code that is not allowed");
  }),
  createBad("breaks", () => assertThat(false, "a promise")),
  createBad("hangs", () => {
    for (;;);
  }),
  createBad("devours", () => {
    const all: number[][] = [];
    for (;;) all.push(Array.from({ length: 100_000 }, (_, index) => index));
  }),
  createBad("leaves", () => process.exit(0)),
  createBad("leaks", () => leaked.push(Buffer.alloc(16 * 1024 * 1024))),
];
