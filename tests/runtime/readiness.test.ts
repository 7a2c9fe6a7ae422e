// When a process calls itself ready.
import { expect, test } from "vitest";
import { createReadiness } from "../../packages/runtime/src/system/readiness.ts";

test("ready while every endpoint serves, and there is one", () => {
  const readiness = createReadiness();
  expect(readiness.stage).toBe("starting");
  const one = readiness.expect("one");
  expect(readiness.stage).toBe("starting");
  one.serving();
  expect(readiness.stage).toBe("serving");
  const two = readiness.expect("two");
  expect(readiness.stage).toBe("starting");
  two.serving();
  one.draining();
  expect(readiness.stage).toBe("draining");
  expect(readiness.endpoints()).toEqual(
    new Map([
      ["one", "draining"],
      ["two", "serving"],
    ]),
  );
  one.gone();
  expect(readiness.stage).toBe("serving");
  two.gone();
  two.gone();
  expect(readiness.stage).toBe("starting");
});

test("instances of one name are as ready as the least of them", () => {
  const readiness = createReadiness();
  const [first, second] = [readiness.expect("generate"), readiness.expect("generate")];
  first.serving();
  expect(readiness.endpoints()).toEqual(new Map([["generate", "starting"]]));
  second.serving();
  expect(readiness.endpoints()).toEqual(new Map([["generate", "serving"]]));
  first.draining();
  expect(readiness.endpoints()).toEqual(new Map([["generate", "draining"]]));
});

test("a runtime that drains makes the process unready until it is gone, with endpoints or without", () => {
  const readiness = createReadiness();
  readiness.expect("one").serving();
  const [left, right] = [readiness.drain(), readiness.drain()];
  expect(readiness.stage).toBe("draining");
  left.over();
  expect(readiness.stage).toBe("draining");
  right.over();
  expect(readiness.stage).toBe("serving");
});
