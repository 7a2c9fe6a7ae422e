// docs/metrics.md is generated from the code; this keeps it so. Regenerate: UPDATE_DOCS=1 npx vitest run tests/docs/metrics.test.ts
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createFrontendMetrics } from "../../packages/frontend/src/observe/metrics.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";
import { root } from "../support/cluster.ts";

const page = join(root, "docs/metrics.md");

const { registry } = createRuntimeMetrics();
createFrontendMetrics({ registry, prefix: "dynamo_frontend", models: () => [], graceMs: 0, now: () => 0 });
const families = registry.members.toSorted((left, right) => (left.name < right.name ? -1 : 1));

function table(...prefixes: readonly string[]): string {
  const rows = families
    .filter(({ name }) => prefixes.some((prefix) => name.startsWith(prefix)))
    .map(
      ({ name, type, labelNames, help }) =>
        `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(" ")} | ${help} |`,
    );
  return ["| name | type | labels | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function buckets(): string {
  const rows = families.flatMap(({ name, buckets: bounds }) =>
    bounds ? [`| \`${name}\` | ${bounds.join(" ")} |`] : [],
  );
  return ["| histogram | upper bounds |", "| --- | --- |", ...rows].join("\n");
}

const expected = `# Metrics

\`GET /metrics\` of the frontend, and of a worker's system server, for Prometheus. Names, labels and buckets are Dynamo's where Dynamo has the metric.

\`\`\`console
$ curl -s http://127.0.0.1:8000/metrics | grep ^dynamo_frontend_requests_total
dynamo_frontend_requests_total{endpoint="chat_completions",error_type="",model="mock",request_type="unary",status="success"} 1
\`\`\`

## Formats

Text 0.0.4 is the default. A scraper whose \`Accept\` names \`application/openmetrics-text\`, as Prometheus does when it stores exemplars, gets OpenMetrics 1.0.0.
There a bucket of the histograms of time to first token, time between tokens and duration carries an exemplar: \`trace_id\` and \`span_id\` of the latest request counted in it
whose trace is sampled. They are the ids of its log lines. Of the gaps between tokens the slowest one of a request is marked. A frontend shows exemplars only to [operators](secure-setup.md#operators).

## The label \`model\`

Only the name of a registered model becomes a label. Any other name a client asks for is \`unknown_model\`, and so is a request whose body cannot be read.
When the last worker of a model has left, the gauges of its card are removed at once. Its other series are removed after \`--metrics-model-grace-secs\` (300 s), because its last failures
could not be scraped otherwise; they stay while a request of the model runs. A model that comes back later starts from zero.

## Frontend

The first part of these names is \`--metrics-prefix\`.

${table("dynamo_frontend_")}

\`endpoint\` is \`chat_completions\`, \`completions\`, \`embeddings\`, \`anthropic_messages\`, \`unmatched\` for a path or method without a route, or the path of [an exposed endpoint](guide/expose.md), whose \`model\` is its address. \`request_type\` is \`unary\` or \`stream\`.
\`status\` is \`success\` or \`error\`; \`error_type\` is one of the [error types](errors.md), empty on success. A request its client left has \`error_type\` \`cancelled\`.

## Request plane

In every process that sends requests to workers.

${table("dynamo_request_plane_")}

## Workers

${table("dynamo_component_", "dynamo_work_handler_", "dynamo_rejection_")}

\`worker_id\` is the [instance id](guide/choosing-instances.md#the-instance-id), decimal as in log lines. \`model\` is there for endpoints that serve a model. A request that its client cancelled or left is no error.

## Every process

${table("dyn_", "dynamo_discovery_", "dynamo_event_loop_", "dynamo_request_memory_")}

Metrics of your own, made with \`@prometheus-io/client\` or \`prom-client\`, are served beside these in both formats once their registry is included: \`runtime.metrics.registry.include(register)\` ([example](guide/operating.md#metrics-of-your-own)). A name that stands above is left out.

## Buckets

${buckets()}

## System server

\`DYN_SYSTEM_PORT\` (or \`--system-port\`) opens an HTTP port in any process with a runtime; 0 lets the system choose, and the log says which. It is off by default. A frontend has none: its own port
has all of it. The runtimes of one process can share one: \`createRuntime({ metrics: first.metrics, system: first.system })\`.

| path | answer |
| --- | --- |
| \`/live\` | 200 as long as the process answers at all, also while it drains |
| \`/health\` | 200 while every endpoint that should serve is registered and takes requests, and every [health check](guide/operating.md#health-checks) passes; else 503, before the first one serves and while it drains |
| \`/metrics\` | as above |

\`runtime.system.addRoute(path, { read, orders })\` adds one of your own: \`read\` gives the JSON that \`GET\` shows, \`orders\` has a function per method, which gets the body. The mock worker's [\`/faults\`](mock-worker.md#faults) is one.

\`/health\` is JSON: \`status\` (\`ready\` or \`notready\`), \`stage\` (\`starting\`, \`serving\`, \`unhealthy\` or \`draining\`), \`version\`, \`uptime\` in \`secs\` and \`nanos\`, \`endpoints\`, each \`ready\` or \`notready\`,
\`checks\`, what the [health checks](guide/operating.md#health-checks) of the program said last,
and \`discovery\`, as [frontends](http-api.md#health) show it. Discovery that is degraded makes no worker unready. \`/live\` has \`uptime\` and \`discovery\`, too.
With \`--operator-keys-file\` all but \`/\`, \`/live\` and \`/health\` need the key of an [operator](secure-setup.md#operators), and without one these two say \`status\` and \`stage\` alone.
The server is the last thing a drain closes. Anything else is a 404, another method a 405, another [host](secure-setup.md#names) on loopback a 421, a web page's \`Origin\` a 403, all in JSON.
`;

test("the page of metrics says what the code does", () => {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(page, expected);
  expect(readFileSync(page, "utf8")).toBe(expected);
});

test("every family is on the page once, and says what it means", () => {
  const rows = expected
    .split("\n")
    .filter((line) => /^\| `dyn\w*_\w+` \| (?:counter|gauge|histogram|summary) \|/.test(line));
  expect(new Set(rows.map((row) => row.split("`")[1]))).toEqual(new Set(families.map(({ name }) => name)));
  expect(rows).toHaveLength(families.length);
  for (const { help } of families) expect(help).toMatch(/^[A-Z]\S* .+[^.]$/);
});
