// What users may import, name by name: a name more or less is a change of the public interface, and is meant to be seen in this file.
import { globSync, readdirSync, readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { root } from "../support/cluster.ts";

const entryPoints: Readonly<Record<string, { readonly source: string; readonly names: string }>> = {
  "@dyn/runtime": {
    source: "packages/runtime/src/index.ts",
    names: `createRuntime Runtime RuntimeOptions RuntimeConfig Environment ShutdownSignal
      Endpoint ServeOptions Serving Handler RequestContext Places RequestLimit LimitOptions
      defineEndpoint EndpointContract ContractEndpoint ContractClientOptions ContractChecks StandardSchema InputOf OutputOf
      Interceptor InterceptedCall ClientCall ServerCall Next
      Client ClientOptions WaitOptions RoutingPolicy KeyPolicy RouterMode RetryPolicy CallOptions GenerateOptions AllOptions InstanceResult Answer Batches AttemptReport AttemptOutcome Instance
      RuntimeError RuntimeErrorOptions ErrorCode ErrorTraits isErrorCode toRuntimeError
      createMemorySpace MemorySpace Discovery Condition
      PinoLogger Fields Identity RequestHeaders ResponseHeaders TraceContext Tracer RuntimeMetrics MemoryBudget System version
      HealthChecks HealthCheck HealthCheckOptions CheckState RuntimeStatus EndpointStatus ClientStatus ProcessStage`,
  },
  "@dyn/runtime/llm": {
    source: "packages/runtime/src/llm.ts",
    names: `serveModel ServeModelOptions serveEmbeddings ServeEmbeddingsOptions Embed EmbeddingRequest Embeddings CountTokens RenderPrompt WorkerRole Engine ModelRequest Reasoning Message MessagePart MediaPart ResponseFormat Prompt Sampling Generated
      Capability Logprob LogprobsRequest PromptLogprob TokenLogprob Tool ToolKind ToolChoice ToolCall ToolCallPiece Delta FinishReason Usage`,
  },
  "@dyn/frontend": {
    source: "packages/frontend/src/index.ts",
    names: "createFrontend CreateFrontendOptions Frontend FrontendOptions",
  },
  "@dyn/mock-worker": {
    source: "packages/mock-worker/src/index.ts",
    names: `startMockWorker MockWorkerOptions MockWorker MockOptions createEchoEngine Pace
      parseFaults Fault Script Fixture FixtureMatch Pattern FixtureResponse FixtureCall FixtureBlock FixtureError FixtureUsage
      StreamingProfile RecordedTimings Chaos SeenRequest SeenAnswer SeenCall MockControls`,
  },
  "@dyn/mock-worker/testing": {
    source: "packages/mock-worker/src/testing.ts",
    names: "startFrontend StartFrontendOptions AddWorkerOptions StartedFrontend",
  },
  "@dyn/upstream-worker": {
    source: "packages/upstream-worker/src/index.ts",
    names: `startUpstreamWorker UpstreamWorkerOptions UpstreamWorker UpstreamOptions
      openUpstreamEngine UpstreamEngineOptions UpstreamEngine`,
  },
};

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** The page on the library, and those below it; not that of all options, which is made of the code. */
function readGuide(): string {
  const pages = globSync("docs/guide/*.md", { cwd: root }).filter((path) => !path.endsWith("/options.md"));
  return ["docs/library.md", ...pages].map(read).join("\n");
}

/** The names in `{ }` of a file's exports, or of an import. */
function namesIn(list: string): string[] {
  return list.split(",").flatMap((name) => name.trim().replace(/^type /, "") || []);
}

function exportsOf(source: string): string[] {
  const text = read(source);
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gms)].flatMap(([, list = ""]) => namesIn(list));
  const declared = [...text.matchAll(/^export (?:async )?(?:function|interface|class|const|type) (\w+)/gm)];
  return [...lists, ...declared.map(([, name = ""]) => name)];
}

function publicNames(entryPoint: string): string[] {
  return entryPoints[entryPoint]?.names.split(/\s+/) ?? [];
}

/** What a program imports of our packages though it is not public. */
function findPrivateImports(code: string): string[] {
  return [...code.matchAll(/^import (?:type )?([^;"]*) from "(@dyn\/[^"]+)"/gms)].flatMap(
    ([, list = "", entryPoint = ""]) =>
      namesIn(list.replaceAll(/[{}]/g, ""))
        .filter((name) => !publicNames(entryPoint).includes(name))
        .map((name) => `${name} of ${entryPoint}`),
  );
}

async function readPrograms(): Promise<Map<string, string>> {
  const programs = new Map<string, string>();
  for await (const path of glob(["examples/**/*.ts", "docs/**/*.md", "README.md", "packages/*/README.md"], {
    cwd: root,
  })) {
    const text = read(path);
    const blocks = [...text.matchAll(/^```(?:ts|js)\n(.*?)^```$/gms)].map(([, code = ""]) => code);
    programs.set(path, path.endsWith(".ts") ? text : blocks.join("\n"));
  }
  return programs;
}

describe("public names", () => {
  test.each(Object.entries(entryPoints))(
    "%s gives those that are listed here, and no other",
    (_entryPoint, { source, names }) => {
      expect(exportsOf(source).toSorted()).toEqual(names.split(/\s+/).toSorted());
    },
  );

  test("no name is both public and internal", () => {
    const all = [...publicNames("@dyn/runtime"), ...publicNames("@dyn/runtime/llm")];
    const internal = exportsOf("packages/runtime/src/internal.ts");
    expect(internal.length).toBeGreaterThan(40);
    expect([...all, ...internal].toSorted()).toEqual([...new Set([...all, ...internal])].toSorted());
  });

  test.each(["@dyn/runtime", "@dyn/runtime/llm"])("the page on the library tells of every name of %s", (entryPoint) => {
    const page = readGuide();
    const isTold = (name: string): boolean =>
      new RegExp(String.raw`\`[^\`\n]*\b${name}\b|^import .*\b${name}\b`, "m").test(page);
    expect(publicNames(entryPoint).filter((name) => !isTold(name))).toEqual([]);
    expect(isTold("NoNameAtAll")).toBe(false);
  });

  test("the page on the library tells of every option and of every member of what one gets", () => {
    const page = readGuide();
    const told = {
      "services.ts": ["ServiceOptions"],
      "runtime.ts": ["RuntimeOptions", "Runtime"],
      "endpoint.ts": ["ServeOptions", "Serving"],
      "client.ts": ["ClientOptions", "ContractClientOptions", "WaitOptions", "Client"],
      "interceptors.ts": ["CallFacts", "ClientCall", "ServerCall"],
      "answer.ts": ["Answer"],
      "egress/call-options.ts": ["CallOptions", "GenerateOptions"],
      "handler.ts": ["RequestContext"],
      "llm/serve-model.ts": ["ServeModelOptions"],
      "llm/serve-embeddings.ts": ["ServeEmbeddingsOptions"],
      "llm/embeddings.ts": ["EmbeddingRequest", "Embeddings"],
      "llm/contract.ts": ["ModelRequest"],
    };
    for (const [file, names] of Object.entries(told)) {
      const source = read(join("packages/runtime/src", file));
      for (const name of names) {
        const [, body = ""] =
          new RegExp(String.raw`^export interface ${name}\b.*?\{\n(.*?)^\}`, "ms").exec(source) ?? [];
        const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)[?(:<]/gm)].map(([, member = ""]) => member);
        expect(members.length).toBeGreaterThan(0);
        const missing = members.filter((member) => !new RegExp(String.raw`\`[^\`\n]*\b${member}\b`).test(page));
        expect([name, ...missing]).toEqual([name]);
      }
    }
  });

  test("the page on the library leads to every page of the guide, and the cookbook to each of its own", () => {
    const lists = { guide: "docs/library.md", cookbook: "docs/cookbook/README.md" };
    for (const [folder, list] of Object.entries(lists)) {
      const pages = readdirSync(join(root, "docs", folder)).filter((name) => name !== "README.md");
      expect(pages.length).toBeGreaterThan(2);
      expect(pages.filter((name) => !new RegExp(String.raw`\]\((?:${folder}/)?${name}\)`).test(read(list)))).toEqual(
        [],
      );
    }
  });

  test("the READMEs show the example programs as they are", () => {
    const shown = { client: ["packages/runtime"], greeter: ["packages/runtime"], shouter: ["packages/runtime", "."] };
    for (const [name, folders] of Object.entries(shown)) {
      const [, code = ""] = read(`examples/${name}.ts`).split(/^\/\/.*\n/);
      for (const folder of folders) expect(read(join(folder, "README.md"))).toContain(`\`\`\`ts\n${code}\`\`\``);
    }
  });

  test("examples and documents use only public names", async () => {
    const programs = await readPrograms();
    expect(programs.size).toBeGreaterThan(20);
    for (const [path, code] of programs) expect([path, ...findPrivateImports(code)]).toEqual([path]);
    const planted = `import { createRuntime, within } from "@dyn/runtime";\nimport type { A } from "@dyn/runtime/internal";`;
    expect(findPrivateImports(planted)).toEqual(["within of @dyn/runtime", "A of @dyn/runtime/internal"]);
  });
});
