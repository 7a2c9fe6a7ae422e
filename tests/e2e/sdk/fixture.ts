/** What the clients are pointed at: a frontend and one mock worker for each part a model can play. */
import { eventually, startCluster, type Cluster, type Line, type Program } from "../../support/cluster.ts";
import type { SdkClient } from "./client.ts";

export interface SdkFixture<Name extends string> extends AsyncDisposable {
  readonly cluster: Cluster;
  /** The worker of `slow`, whose answers stop after three tokens and do not end. */
  readonly slow: Program;
  /** The worker of `doomed`, as `slow`; a test kills it. */
  readonly doomed: Program;
  client(this: void, name: Name): SdkClient;
  /** The frontend's lines of the requests with this `x-request-id`. */
  linesOf(this: void, tag: string): Line[];
  /** Start what `half` lacks: until then it is listed, but has nobody to read its prompts. */
  completeHalf(this: void): Promise<void>;
}

type ToClients = (url: string) => readonly SdkClient[] | Promise<readonly SdkClient[]>;

/** Models `mock`, `org/mock`, `slow`, `doomed` and `half`. Bodies may have 1 MiB. */
export async function openFixture<Name extends string>(toClients: ToClients): Promise<SdkFixture<Name>> {
  const cluster = await startCluster({ frontendArgs: ["--http-body-limit-mb", "1"] });
  try {
    return await fillCluster(cluster, toClients);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function fillCluster<Name extends string>(cluster: Cluster, toClients: ToClients): Promise<SdkFixture<Name>> {
  const add = (model: string, ...args: string[]): Promise<Program> =>
    cluster.addWorker("--model-name", model, "--component", model.replace("/", "-"), ...args);
  const addHalf = (mode: string): Promise<Program> =>
    cluster.addWorker("--model-name", "half", "--component", `half-${mode}`, "--disaggregation-mode", mode);
  const held = ["--fault", "hang@3"];
  const [slow, doomed] = await Promise.all([
    add("slow", ...held),
    add("doomed", ...held),
    add("org/mock"),
    addHalf("decode"),
  ]);
  const countModels = (): number => cluster.frontend.lines().filter(({ message }) => message === "model added").length;
  await eventually("five models", () => countModels() === 5);
  const clients = await toClients(cluster.url);
  return {
    cluster,
    slow,
    doomed,
    client(name) {
      const found = clients.find((client) => client.name === name);
      if (!found) throw new Error(`there is no client ${name}`);
      return found;
    },
    linesOf: (tag) => cluster.frontend.lines().filter(({ x_request_id }) => x_request_id === tag),
    async completeHalf() {
      await addHalf("prefill");
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}
