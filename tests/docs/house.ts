// The house: which file may import which. docs/architecture.md shows these tables.

/** A folder directly below src, or a single file there. A room imports only rooms of lower floors. */
export interface Room {
  readonly floor: number;
  readonly holds: string;
}

export const houses: Readonly<Record<string, Readonly<Record<string, Room>>>> = {
  runtime: {
    "llm.ts": { floor: 12, holds: "public names for language-model workers" },
    "internal.ts": { floor: 12, holds: "names for the other packages" },
    "index.ts": { floor: 11, holds: "public names" },
    llm: { floor: 11, holds: "model contract, stop strings, limits, `serveModel`" },
    "runtime.ts": { floor: 10, holds: "composition root: owns everything, ends it in order" },
    "client.ts": { floor: 9, holds: "`client()`" },
    "runtime-status.ts": { floor: 7, holds: "a runtime at one moment" },
    "plane.ts": { floor: 9, holds: "the two ends of the request plane, as the settings say" },
    "call-all.ts": { floor: 8, holds: "`all()`: one request to every instance" },
    "answer.ts": { floor: 8, holds: "`generate()`: one request and its answer" },
    "endpoint.ts": { floor: 8, holds: "`serve()`" },
    "services.ts": {
      floor: 7,
      holds: "opened before all else: settings, log, certificates and tokens, discovery, metrics, system server, spans",
    },
    egress: { floor: 7, holds: "sending: pick, attempt, retry" },
    ingress: { floor: 7, holds: "receiving: decode, admit, run" },
    net: { floor: 6, holds: "sockets: bytes, heartbeat, reasons of an end" },
    discovery: { floor: 6, holds: "who exists: file, memory, live set" },
    security: { floor: 5, holds: "certificates, tokens, keys and their files; the proof of the token" },
    otel: { floor: 6, holds: "the OpenTelemetry SDK, loaded when spans are exported" },
    settings: { floor: 5, holds: "what a setting is, its flag, its variable; the settings of a runtime" },
    system: { floor: 6, holds: "the system server, health checks, what it calls ready, and what systemd is told" },
    wire: { floor: 4, holds: "bytes to messages and back, without sockets" },
    http: {
      floor: 4,
      holds: "the HTTP host: listens, guards its connections, takes each request from its head to its answer, drains",
    },
    "endpoint-contract.ts": { floor: 7, holds: "`defineEndpoint()`: what both ends of an endpoint agree on" },
    "interceptors.ts": { floor: 4, holds: "what requests and items go through, at both ends" },
    "standard-schema.ts": { floor: 1, holds: "what a schema is, whichever library made it" },
    "handler.ts": { floor: 3, holds: "what a handler sees" },
    "given-items.ts": { floor: 2, holds: "what a handler gave, as items" },
    "memory-budget.ts": { floor: 3, holds: "what requests may take of the memory" },
    logging: { floor: 2, holds: "lines, and where they go" },
    trace: { floor: 2, holds: "identity, spans, when tokens came" },
    metrics: {
      floor: 2,
      holds:
        "the registry, its families and series, how they are written; what a runtime, its endpoints and its event loop count",
    },
    "strangers.ts": { floor: 2, holds: "places of connections that have shown nothing yet" },
    "end-report.ts": { floor: 2, holds: "what became of the requests that ran at the end" },
    "listen-error.ts": { floor: 2, holds: "why a server cannot listen" },
    "thrown.ts": { floor: 2, holds: "what foreign code has thrown, as an error of ours" },
    "worker-errors.ts": { floor: 2, holds: "which codes a worker may say" },
    "lifetime.ts": { floor: 1, holds: "waiting and signals" },
    "recent.ts": { floor: 1, holds: "the latest keys, as many as may be kept" },
    "errors.ts": { floor: 1, holds: "the error of all packages" },
    "error-table.ts": { floor: 0, holds: "the table of error codes" },
    "ids.ts": { floor: 1, holds: "ids" },
    "counts.ts": { floor: 1, holds: "numbers in sentences" },
    "durations.ts": { floor: 1, holds: "durations as lines have them" },
    "excerpt.ts": { floor: 1, holds: "the beginning of a text" },
    "hidden-text.ts": { floor: 1, holds: "characters that nobody sees" },
    "address.ts": { floor: 1, holds: "host and port as text" },
    "condition.ts": { floor: 1, holds: "what does not work at the moment" },
    "manifest.d.ts": { floor: 1, holds: "the type of package.json" },
    "version.ts": { floor: 1, holds: "which version this is" },
    "wall-clock.ts": { floor: 1, holds: "the time of day of an event" },
    "young-generation.ts": { floor: 1, holds: "how large V8's young generation may grow" },
  },
  lineage: {
    "index.ts": { floor: 6, holds: "public names" },
    "trace-command.ts": { floor: 5, holds: "one request followed through logs" },
    "history.ts": { floor: 4, holds: "the requests of late, in memory" },
    "rebuild.ts": { floor: 4, holds: "lines to trees" },
    show: { floor: 4, holds: "a tree as a page of text" },
    "search.ts": { floor: 3, holds: "the lines of a request, in any number of logs" },
    checks: { floor: 3, holds: "what cannot be true of a tree" },
    grouping: { floor: 2, holds: "which lines belong to one request, and which worker to which attempt" },
    logs: { floor: 1, holds: "files and pipes to lines, whatever they are wrapped or packed in" },
    "kept-tree.ts": { floor: 2, holds: "its tree" },
    "kept.ts": { floor: 1, holds: "what stays of a request that is over" },
    "tree.ts": { floor: 0, holds: "a request, its attempts, its processes" },
    "request-ids.ts": { floor: 0, holds: "what may be asked for" },
    "terminal.ts": { floor: 0, holds: "colours, and text that is safe to show" },
  },
  frontend: {
    "cli.ts": { floor: 7, holds: "flags, the exit code" },
    "index.ts": { floor: 7, holds: "public names" },
    "frontend.ts": { floor: 6, holds: "composition root: `createFrontend()`, and how it ends" },
    server: {
      floor: 5,
      holds: "the ports and their routes: what each serves, to whom",
    },
    openapi: { floor: 4, holds: "the document that describes the routes, made when somebody asks for it" },
    openai: { floor: 3, holds: "the shapes of OpenAI's API" },
    exposed: { floor: 3, holds: "endpoints of one's own over HTTP" },
    anthropic: { floor: 3, holds: "the shapes of Anthropic's API" },
    inference: { floor: 2, holds: "one inference request of any API, from body to answer" },
    observe: { floor: 1, holds: "the record of a request, its lines and its metrics" },
    "ops.ts": { floor: 1, holds: "health, metrics, the history of a request" },
    settings: { floor: 1, holds: "what can be set, and how it is read" },
    http: { floor: 0, holds: "bodies in JSON, event streams" },
    models: { floor: 0, holds: "which models exist, and which workers serve them" },
  },
  "mock-worker": {
    "cli.ts": { floor: 9, holds: "flags, the exit code" },
    "testing.ts": { floor: 8, holds: "`startFrontend()`: a frontend and a mock worker, for tests of clients" },
    "index.ts": { floor: 7, holds: "`startMockWorker()`" },
    "controls.ts": { floor: 6, holds: "what the workers of a process share, and what changes while they run" },
    "engine.ts": { floor: 5, holds: "an answer, played at a given pace" },
    "embeddings.ts": { floor: 4, holds: "vectors of hashed words" },
    record: { floor: 4, holds: "what another model says, written down" },
    seen: { floor: 3, holds: "what was asked and answered of late" },
    pace: { floor: 2, holds: "when tokens come" },
    script: { floor: 3, holds: "rules that somebody wrote: their form, whom they are for, what they answer" },
    "options.ts": { floor: 3, holds: "settings" },
    answers: {
      floor: 2,
      holds: "the plan of an answer: a call, an instance of a schema, an echo; and how it is played",
    },
    faults: { floor: 1, holds: "faults on purpose, and how they change while it runs" },
    "hash.ts": { floor: 0, holds: "hashes in place of chance" },
  },
  "upstream-worker": {
    "cli.ts": { floor: 5, holds: "flags, the exit code" },
    "index.ts": { floor: 4, holds: "`startUpstreamWorker()`" },
    "engine.ts": { floor: 3, holds: "completions, asked upstream" },
    "embed.ts": { floor: 3, holds: "embeddings, asked upstream" },
    "exchange.ts": { floor: 2, holds: "one question to the upstream, up to the head of its answer" },
    "listing.ts": { floor: 3, holds: "what the upstream serves, and whether it is well" },
    "members.ts": { floor: 2, holds: "the models that are served now" },
    "body.ts": { floor: 1, holds: "requests in OpenAI's words" },
    "deltas.ts": { floor: 2, holds: "pieces of an answer" },
    "calls.ts": { floor: 1, holds: "tool calls, however they are numbered" },
    "logprobs.ts": { floor: 1, holds: "likelihoods of tokens" },
    "events.ts": { floor: 0, holds: "server-sent events" },
    "failures.ts": { floor: 0, holds: "what the upstream says went wrong" },
    "http.ts": { floor: 1, holds: "connections and their limits of time" },
    "options.ts": { floor: 0, holds: "settings" },
  },
};

/** The tables of docs/architecture.md: a row for each floor of each package. */
export function describeHouses(): string {
  return Object.entries(houses)
    .map(([name, rooms]) => {
      const floors = new Map<number, string[]>();
      for (const [room, { floor, holds }] of Object.entries(rooms)) {
        const shown = `\`${room.endsWith(".ts") ? room : `${room}/`}\` ${holds}`;
        floors.set(floor, [...(floors.get(floor) ?? []), shown]);
      }
      const rows = [...floors]
        .toSorted(([left], [right]) => right - left)
        .map(([floor, shown]) => `| ${floor} | ${shown.join("; ")} |`);
      return [`| floor | ${name} |`, "| --- | --- |", ...rows].join("\n");
    })
    .join("\n\n");
}
