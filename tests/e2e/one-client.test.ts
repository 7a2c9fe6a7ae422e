// One client hurts nobody else: what it can make a process keep, and for how long it can make others wait. The heap is small, so that what is kept whole ends the process soon.
import { expect, test } from "vitest";
import { startCluster, type Program } from "../cluster.ts";

const small = { NODE_OPTIONS: "--max-old-space-size=64" };

/** The exit code or signal; undefined while it runs. */
function endOf({ child }: Program): number | string | null {
  return child.exitCode ?? child.signalCode;
}

test("refused requests are not kept whole: many long names of models", async () => {
  await using cluster = await startCluster({ workers: 0, env: small });
  const body = JSON.stringify({ model: "x".repeat(4 * 1024 * 1024) });
  for (let index = 0; index < 16; index += 1) {
    const answer = await fetch(`${cluster.url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      error: { message: `model must have at most 256 characters, not ${4 * 1024 * 1024}`, param: "model", code: "string_above_max_length" },
    });
  }
  expect(endOf(cluster.frontend)).toBeNull();
});
