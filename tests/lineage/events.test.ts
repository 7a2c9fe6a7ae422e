// What a line tells of: by its `event`, and in logs without that key by its message.
import { describe, expect, test } from "vitest";
import { parseLine, type LineEvent } from "../../packages/lineage/src/logs/lines.ts";
import { isLifecycle, readRecording, recordings, type Fields } from "./recordings.ts";

function eventOf(fields: Fields): LineEvent | undefined {
  return parseLine(JSON.stringify(fields), "log:1")?.event;
}

/** Recorded before lines had `event`. */
const lines = recordings
  .flatMap((name) => readRecording(name))
  .filter(isLifecycle)
  .map(({ fields }) => fields);

function nameOf({ message }: Fields): string {
  const text = String(message);
  return text.startsWith("route request ") ? "route_request" : text.replaceAll(" ", "_");
}

describe("a lifecycle line", () => {
  test("without an event is known by its message", () => {
    for (const fields of lines) {
      expect(fields).not.toHaveProperty("event");
      expect(eventOf(fields)).not.toBe("other");
    }
    expect(new Set(lines.map(eventOf)).size).toBe(8);
  });

  test("with an event is known by it, whatever its message", () => {
    for (const fields of lines)
      expect(eventOf({ ...fields, event: nameOf(fields), message: "Anfrage beendet" })).toBe(eventOf(fields));
  });

  test("with an event that is not ours, or no text, is known by its message", () => {
    for (const fields of lines)
      for (const event of ["request.finished", "toString", "", 7, null])
        expect(eventOf({ ...fields, event })).toBe(eventOf(fields));
  });

  test("of a worker has a target of ours: one of a handler with the same event only mentions the request", () => {
    const ofWorkers = lines.filter(({ span_name: span }) => span === "handle_payload");
    expect(ofWorkers.length).toBeGreaterThan(0);
    for (const fields of ofWorkers)
      expect(eventOf({ ...fields, event: nameOf(fields), target: "test::echo::generate" })).toBe("other");
  });
});
