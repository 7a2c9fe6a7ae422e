/** Streams in which nothing comes for a while, so that the frontend keeps them open: no client may notice. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, startCluster, type Cluster } from "../../support/cluster.ts";
import { failureOf, type Answer, type Failure, type SdkClient } from "./client.ts";

const prompt = "one two three four";

/** What the two APIs call a worker that cannot, and where a stream has it. */
const apis = {
  openai: { path: "/v1/chat/completions", type: "server_error", word: ": keep-alive\n\n" },
  anthropic: { path: "/v1/messages", type: "overloaded_error", word: 'event: ping\ndata: {"type":"ping"}\n\n' },
};

// Of `mock` each token is late; `broken` fails before its first, `half` after its second.
async function openSilent(): Promise<Cluster> {
  const cluster = await startCluster({
    workerArgs: ["--ttft-ms", "150", "--itl-ms", "80"],
    frontendArgs: ["--sse-keep-alive-ms", "20"],
  });
  const add = (model: string, fault: string): Promise<unknown> =>
    cluster.addWorker("--model-name", model, "--component", model, "--fault", fault, "--migration-limit", "0");
  try {
    await Promise.all([add("broken", "error:unavailable"), add("half", "error:unavailable@2")]);
    await eventually(
      "three models",
      () => cluster.frontend.lines().filter(({ message }) => message === "model added").length === 3,
    );
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function streamRaw(url: string, api: keyof typeof apis): Promise<string> {
  const body = { model: "mock", max_tokens: 100, stream: true, messages: [{ role: "user", content: prompt }] };
  const response = await fetch(`${url}${apis[api].path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.text();
}

interface Seen {
  readonly text: string;
  readonly answer: Answer;
  readonly broken: Failure;
  readonly half: { readonly text: string; readonly failure: Failure };
}

async function look({ stream, toFailure }: SdkClient): Promise<Seen> {
  let text = "";
  let halfText = "";
  const [answer, broken, failure] = await Promise.all([
    stream({ prompt }, (piece) => (text += piece)),
    failureOf(toFailure, stream({ prompt, model: "broken" })),
    failureOf(
      toFailure,
      stream({ prompt, model: "half" }, (piece) => (halfText += piece)),
    ),
  ]);
  return { text, answer, broken, half: { text: halfText, failure } };
}

type ToClients = (url: string) => readonly SdkClient[] | Promise<readonly SdkClient[]>;

/** Tests for each of `names`, on a cluster of their own. */
export function describeSilence(names: readonly string[], toClients: ToClients): void {
  describe("a stream that is silent for a while", () => {
    let cluster: Cluster;
    const seen = new Map<string, { readonly client: SdkClient; readonly seen: Seen }>();
    beforeAll(async () => {
      cluster = await openSilent();
      const clients = await toClients(cluster.url);
      await Promise.all(clients.map(async (client) => seen.set(client.name, { client, seen: await look(client) })));
    }, 240_000);
    afterAll(() => cluster[Symbol.asyncDispose]());

    test.each(["openai", "anthropic"] as const)(
      "of the API %s is kept open before its first event and after",
      async (api) => {
        const { word } = apis[api];
        // A frontend that waits for a processor has fewer words, so it is asked again.
        await eventually("words before the first event and after", async () => {
          const text = await streamRaw(cluster.url, api);
          return text.startsWith(word.repeat(2)) && text.slice(text.indexOf("one")).split(word).length > 2;
        });
      },
    );

    test.each(names)("is the same answer to %s, piece by piece", (name) => {
      const { text, answer } = seen.get(name)?.seen ?? {};
      expect([text, answer?.text]).toEqual([prompt, prompt]);
      expect(answer).toMatchObject({
        inputTokens: 4,
        outputTokens: 4,
        reason: expect.stringMatching(/^(?:stop|end_turn)$/),
      });
    });

    test.each(names)("that fails raises in %s, before its first event and after", (name) => {
      const { client, seen: found } = seen.get(name) ?? {};
      if (!client || !found) throw new Error(`there is no client ${name}`);
      const { type } = apis[client.api];
      for (const failure of [found.broken, found.half.failure]) {
        expect(failure.message).toContain("fault injected: unavailable");
        expect([type, undefined]).toContain(failure.type); // the Vercel AI SDK tells it only of a stream that has begun
      }
      expect(found.half.failure.type).toBe(type);
      expect(found.half.text).toBe("one two");
    });
  });
}
