// What a worker takes: which requests are sent to it, and which are not.
import { expect, test } from "vitest";
import { WorkerTerms } from "../../../packages/runtime/src/egress/worker-terms.ts";
import { hello, request } from "../peers.ts";

const mebibyte = 1024 * 1024;
const large = { ...request, payload: new Uint8Array(4 * mebibyte) };
const overloaded = expect.objectContaining({ code: "overloaded" });

test("a worker that leaves 8 MiB of requests unread gets no more of them", () => {
  const terms = new WorkerTerms(hello);
  terms.admit(large, { streams: 0, queuedBytes: 0 });
  terms.admit(large, { streams: 1, queuedBytes: 4 * mebibyte });
  expect(() => terms.admit(request, { streams: 2, queuedBytes: 8 * mebibyte })).toThrow(overloaded);
  terms.admit(request, { streams: 2, queuedBytes: 4 * mebibyte }); // it has read some of them
});

test("what waits beside requests, as a large piece of one, is no reason to refuse others", () => {
  const terms = new WorkerTerms(hello);
  terms.admit(large, { streams: 0, queuedBytes: 0 });
  terms.admit(request, { streams: 1, queuedBytes: 40 * mebibyte });
});

test("requests that the socket has taken do not count, whoever has noticed that", () => {
  for (const queuedBytes of [0, 4 * mebibyte]) {
    const terms = new WorkerTerms(hello);
    for (let round = 0; round < 10; round += 1) {
      terms.admit(large, { streams: 0, queuedBytes });
      if (queuedBytes > 0) terms.drained();
    }
    terms.admit(request, { streams: 0, queuedBytes: 0 });
    terms.admit(request, { streams: 0, queuedBytes: 40 * mebibyte });
  }
});
