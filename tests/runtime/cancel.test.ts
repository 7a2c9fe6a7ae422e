// What a worker makes of CANCEL: stop asks for an early, polite end, kill for none at all.
import { expect, test } from "vitest";
import { connect } from "node:net";
import { frameTypes } from "../../packages/runtime/src/wire/frames.ts";
import { decodeEnd, decodeError } from "../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { eventually } from "../support/cluster.ts";
import { greeting, rawPeer, request, startPair, type Ask } from "./peers.ts";

type Ends = "returns" | "throws" | "yields more";

const endings: readonly (readonly [messages.CancelMode, Ends])[] = [
  ["stop", "returns"],
  ["stop", "throws"],
  ["stop", "yields more"],
  ["kill", "returns"],
  ["kill", "throws"],
  ["kill", "yields more"],
];

test.each(endings)("%s, and an engine that %s", async (mode, ends) => {
  let finished = false;
  await using pair = await startPair({
    async *handler({ count }: Ask, { signal }) {
      try {
        yield count;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        if (ends === "throws") throw new Error("out of tune");
        if (ends === "yields more") for (;;) yield "unwanted";
      } finally {
        finished = true;
      }
    },
  });
  using peer = rawPeer(connect(pair.port, "127.0.0.1"), false);
  peer.sendBytes(greeting());
  peer.send((writer) => messages.encodeRequest(writer, 1, { ...request, payload: encodePayload({ count: 7 }) }));
  await eventually("the item", () => peer.frames.find(({ type }) => type === frameTypes.ITEMS));
  peer.send((writer) => messages.encodeCancel(writer, 1, mode));
  const last = await eventually("the end", () =>
    peer.frames.find(({ type }) => type === frameTypes.END || type === frameTypes.ERROR),
  );
  expect(finished).toBe(true);
  expect(peer.frames.filter(({ type }) => type === frameTypes.ITEMS)).toHaveLength(1);
  if (mode === "stop") {
    expect(last.type).toBe(frameTypes.END);
    expect(decodeEnd(last.body)).toMatchObject({ items: 1, seen: { instance_id: pair.server.instanceId } });
  } else {
    expect(decodeError(last.body)).toMatchObject({ code: "cancelled", produced: true, trailer: { items: 1 } });
  }
  const completed = pair.workerLines.filter(({ message }) => message === "request completed");
  expect(completed).toMatchObject([{ level: "INFO", status: "cancelled", error_type: "cancelled", items: 1 }]);
});
