// Floats of embeddings: every one is the same again once it is read, and none has more digits than that takes.
import fc from "fast-check";
import { expect, test } from "vitest";
import { shortenFloat } from "../../packages/frontend/src/openai/short-floats.ts";

test("any float is itself again, and has at most nine digits", () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (float) => {
      const short = shortenFloat(float);
      expect(Math.fround(short) === float).toBe(true); // JSON has no -0
      const [mantissa = ""] = JSON.stringify(short).split("e");
      expect(mantissa.replace(/^-/, "").replace(".", "").replace(/^0+/, "").replace(/0+$/, "").length).toBeLessThan(10);
    }),
    { numRuns: 2_000 },
  );
});

test.each([0, 1, -1, 0.1, -0.026_123_046_875, 1e-9, 9.999_999e-10, 1e-38, 3.4e38, 0.999_999_94])("%d", (float) => {
  expect(Math.fround(shortenFloat(Math.fround(float)))).toBe(Math.fround(float));
});
