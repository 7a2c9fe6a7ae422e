// What an engine reports of a request, as those see it who operate the frontend.
import { createFrontend, type CreateFrontendOptions } from "@dyn/frontend";
import { createRuntime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { expect, test } from "vitest";
import { parseLine } from "../../packages/lineage/src/logs/lines.ts";
import { rebuildTrees } from "../../packages/lineage/src/rebuild.ts";
import { drawTree } from "../../packages/lineage/src/show/timeline.ts";
import { chat, eventually, postChat, type Line } from "../support/cluster.ts";
import { createLogger } from "../support/logger.ts";

const facts = { cache_hit: true, draft_tokens: 12, path: "speculative" };

interface Answered extends AsyncDisposable {
  readonly url: string;
  readonly requestId: string;
  readonly lines: Line[];
}

/** A frontend that has answered one request, of which the engine has reported those facts. */
async function answerOne(options: CreateFrontendOptions = {}): Promise<Answered> {
  const lines: Line[] = [];
  const log = createLogger({ sink: (record) => lines.push(record) }).pino;
  const runtime = await createRuntime({ config: { discoveryBackend: "mem" }, log });
  await serveModel(runtime, { model: "m" }, async function* (_request, { report }) {
    report(facts);
    yield { text: "a" };
  });
  const frontend = await createFrontend({ ...options, runtime, httpPort: 0 });
  const answer = await postChat(frontend.url, { ...chat("x"), model: "m" });
  await answer.text();
  return {
    url: frontend.url,
    requestId: answer.headers.get("request-id") ?? "",
    lines,
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await runtime.close();
    },
  };
}

function completionOf({ lines }: Answered): Promise<Line> {
  return eventually("the frontend's line", () =>
    lines.find(({ message, span_name }) => message === "request completed" && span_name === "http-request"),
  );
}

test("is on the frontend's line, by names that no other field has", async () => {
  await using answered = await answerOne();
  const line = await completionOf(answered);
  expect(line).toMatchObject({
    "facts.cache_hit": true,
    "facts.draft_tokens": 12,
    "facts.path": "speculative",
    status: "success",
  });
  expect(Object.keys(line).filter((name) => name.startsWith("facts."))).toHaveLength(3);
});

test("is in the tree of a request that the frontend has kept", async () => {
  await using answered = await answerOne();
  await completionOf(answered);
  const tree: unknown = await (await fetch(`${answered.url}/v1/requests/${answered.requestId}`)).json();
  expect(tree).toMatchObject({ request: { facts } });
});

test("is in the tree that is made of the log, and in its picture", async () => {
  await using answered = await answerOne();
  await completionOf(answered);
  const lines = answered.lines.flatMap((line, index) => parseLine(JSON.stringify(line), `log:${index + 1}`) ?? []);
  const { trees } = rebuildTrees(lines, new Set([answered.requestId]));
  expect(trees[0]).toMatchObject({ request: { facts }, problems: [] });
  const [tree] = trees;
  expect(tree && drawTree(tree, { columns: 100, color: false })).toContain(
    "reported   cache_hit true, draft_tokens 12, path speculative",
  );
});
