// The soak's ledger looks at the lines of every process: one that contradicts another is a finding.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readRecording, type Fields } from "../lineage/recordings.ts";
import type { Ask } from "../../tools/soak/asks.ts";
import { createLedger, type Ledger } from "../../tools/soak/ledger.ts";

const ask: Ask = {
  id: "stream",
  shape: "chat stream",
  manner: "leaves",
  body: {},
  expected: { texts: [], reasons: [], usage: undefined },
};

/** The counts and findings for the lines of a recorded request, changed by `change`. */
async function settle(
  change: (fields: Fields) => Fields,
): Promise<Pick<Ledger, "counts" | "findings"> & { readonly kept: string }> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-ledger-"));
  const file = join(directory, "findings.jsonl");
  const ledger = createLedger({ file, now: () => 0 });
  await ledger.follow(ask, async () => {
    for (const { fields } of readRecording("stream")) ledger.line(JSON.stringify(change(fields)), "any");
    return { status: 200, raw: "", requestId: undefined, xRequestId: "stream" };
  });
  await ledger.close();
  const kept = await readFile(file, "utf8").catch(() => ""); // made with the first finding
  await rm(directory, { recursive: true });
  return { counts: ledger.counts, findings: ledger.findings, kept };
}

test("lines that fit together are no finding", async () => {
  const { counts, findings } = await settle((fields) => fields);
  expect(findings).toEqual([]);
  expect(counts).toMatchObject({ asked: 1, left: 1, failed: 0, lost: 0, duplicated: 0, mismatched: 0 });
});

test("a worker that says it belongs to another span, or counted other tokens, is a finding that is kept", async () => {
  for (const wrong of [{ parent_id: "00000000000000aa" }, { output_tokens: 99 }]) {
    const { counts, findings, kept } = await settle((fields) =>
      fields["span_name"] === "handle_payload" && fields["message"] === "request completed"
        ? { ...fields, ...wrong }
        : fields,
    );
    expect(counts.mismatched).toBeGreaterThan(0);
    expect(findings[0]).toMatch(new RegExp(`^mismatched stream: .*${Object.keys(wrong).join("")}`));
    expect(kept).toContain(JSON.stringify(wrong).slice(1, -1));
  }
});

test("lines without a request id are a finding: nothing could be compared", async () => {
  const { findings } = await settle(({ request_id: _id, ...fields }) => fields);
  expect(findings).toEqual(["lost stream: no line of the frontend has a request_id"]);
});
