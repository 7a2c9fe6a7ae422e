// Requests without a key cost their sender nothing: however many there are, those with a key are remembered.
import { expect, test } from "vitest";
import { createHistory, type History } from "../../packages/frontend/src/lineage/history.ts";

const operator = { owner: undefined, seesAll: true } as const;

function send(history: History, requestId: string, owner?: string): void {
  const record = history.begin({
    identity: { requestId, trace: { traceId: `trace-${requestId}`, spanId: `span-${requestId}`, flags: 1 } },
    owner,
    isStranger: owner === undefined,
    fields: {},
    startedAt: 0,
    routes: [],
    measure: () => ({}),
  });
  record.finish({}, 1);
}

test("requests without a key push none with a key out of the history, and are remembered themselves, a tenth as many", () => {
  const history = createHistory({ size: 20, now: () => 0, clockOffset: () => 0 });
  for (let index = 0; index < 20; index += 1) send(history, `known-${index}`, "a key");
  for (let index = 0; index < 50; index += 1) send(history, `stranger-${index}`);
  const remembered = (name: string): number[] =>
    Array.from({ length: 50 }, (_, index) => index).filter((index) => history.find(`${name}-${index}`, operator));
  expect(remembered("known")).toHaveLength(20);
  expect(remembered("stranger")).toEqual([48, 49]);
  send(history, "known-20", "a key");
  expect(remembered("known")).not.toContain(0);
  expect(remembered("known")).toHaveLength(20);
});
