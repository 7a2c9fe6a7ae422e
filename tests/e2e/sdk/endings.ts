/** Requests that end before their answer does: clients that leave or have waited enough, a worker that dies. */
import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually, type Line, type Program } from "../../support/cluster.ts";
import { failureOf, type Failure, type SdkClient } from "./client.ts";
import type { SdkFixture } from "./fixture.ts";

const prompt = "word ".repeat(400).trim();
const lost = {
  openai: { type: "server_error", code: "worker_disconnected" },
  anthropic: { type: "overloaded_error" },
};

function find(program: Program, tag: string, message: string): Line | undefined {
  return program.lines().find((line) => line["x_request_id"] === tag && line["message"] === message);
}

function completionOf(program: Program, tag: string): Promise<Line> {
  return eventually(`the completion of ${tag}`, () => find(program, tag, "request completed"));
}

/** Tests for each of `names`, on the fixture that is open when they run. Kills the worker of `doomed`. */
export function describeEndings<Name extends string>(names: readonly Name[], fixture: () => SdkFixture<Name>): void {
  async function expectCancelled(tag: string): Promise<Line> {
    const { cluster, slow } = fixture();
    const [ours, theirs] = await Promise.all([completionOf(cluster.frontend, tag), completionOf(slow, tag)]);
    for (const completed of [ours, theirs]) {
      expect(completed).toMatchObject({ level: "INFO", status: "cancelled", error_type: "cancelled" });
      expect(completed["output_tokens"]).toBeLessThan(400);
    }
    return ours;
  }

  describe.each(names)("endings, %s", (name) => {
    const client = (): SdkClient => fixture().client(name);

    test("a stream the client leaves stops the engine", async () => {
      const aborter = new AbortController();
      const tag = `a-${randomUUID()}`;
      // Some libraries raise, some just end; none may have it all.
      const ended = client()
        .stream({ prompt, model: "slow", tag, signal: aborter.signal }, () => aborter.abort())
        .then(
          ({ text }) => text,
          () => "",
        );
      expect((await expectCancelled(tag))["request_type"]).toBe("stream");
      expect(prompt.startsWith(await ended)).toBe(true);
      expect((await ended).length).toBeLessThan(prompt.length);
    });

    test("an answer the client no longer wants stops the engine", async () => {
      const aborter = new AbortController();
      const tag = `a-${randomUUID()}`;
      const raised = failureOf(
        client().toFailure,
        client().complete({ prompt, model: "slow", tag, signal: aborter.signal }),
      );
      await eventually("the engine running", () => find(fixture().slow, tag, "request received"));
      aborter.abort();
      expect((await expectCancelled(tag))["request_type"]).toBe("unary");
      expect((await raised).name).toMatch(/Abort|Cancelled/);
    });
  });

  describe("the client's own time limit", () => {
    const raised = new Map<Name, { tag: string; failure: Failure }>();
    beforeAll(async () => {
      const work = names.map(async (name) => {
        const tag = `t-${randomUUID()}`;
        const { complete, toFailure } = fixture().client(name);
        raised.set(name, {
          tag,
          failure: await failureOf(toFailure, complete({ prompt, model: "slow", tag, timeoutMs: 3_000 })),
        });
      });
      await Promise.all(work);
    });

    test.each(names)("%s raises a timeout, and the engine stops", async (name) => {
      const { tag = "", failure } = raised.get(name) ?? {};
      expect(failure?.name).toMatch(/Timeout/);
      await expectCancelled(tag);
    });
  });

  describe("a worker that dies in the middle", () => {
    const seen = new Map<Name, { tag: string; text: string; failure: Failure }>();
    beforeAll(async () => {
      const { client, doomed } = fixture();
      let begun = 0;
      const work = names.map(async (name) => {
        const tag = `k-${randomUUID()}`;
        let text = "";
        const { stream, toFailure } = client(name);
        const answer = stream({ prompt, model: "doomed", tag }, (piece) => {
          if (text === "") begun += 1;
          text += piece;
        });
        const failure = await failureOf(toFailure, answer);
        seen.set(name, { tag, text, failure });
      });
      await eventually("all streams having begun", () => begun === names.length);
      doomed.kill("SIGKILL");
      await Promise.all(work);
    });

    test.each(names)("is an error of the API's own type to %s, after the text so far", async (name) => {
      const { tag = "", text = "", failure } = seen.get(name) ?? {};
      expect(failure).toMatchObject(lost[fixture().client(name).api]);
      expect(failure?.message).toContain("the connection to the worker was lost");
      expect(prompt.startsWith(text)).toBe(true);
      expect(text.length).toBeGreaterThan(0);
      expect(text.length).toBeLessThan(prompt.length);
      expect(await completionOf(fixture().cluster.frontend, tag)).toMatchObject({
        level: "ERROR",
        status: "error",
        error_type: "unavailable",
      });
    });
  });
}
