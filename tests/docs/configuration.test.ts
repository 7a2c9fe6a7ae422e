// docs/configuration.md is generated from the code; this keeps it so. Regenerate: UPDATE_DOCS=1 npx vitest run tests/docs/configuration.test.ts
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { frontendSettings } from "../../packages/frontend/src/settings/frontend-settings.ts";
import { commandSettings, mockSettings } from "../../packages/mock-worker/src/options.ts";
import { upstreamSettings } from "../../packages/upstream-worker/src/options.ts";
import { readSettings } from "../../packages/runtime/src/settings/environment.ts";
import {
  runtimeSettings,
  servingSettings,
  sharedSettings,
} from "../../packages/runtime/src/settings/runtime-settings.ts";
import { createRuntime } from "../../packages/runtime/src/index.ts";
import { formatDefault, type Setting, type Variable } from "../../packages/runtime/src/settings/setting.ts";
import { telemetrySettings, telemetrySwitches } from "../../packages/runtime/src/otel/settings.ts";
import { root } from "../support/cluster.ts";

const page = join(root, "docs/configuration.md");

type AnySetting = Setting<never> | Setting<unknown> | Variable<never> | Variable<unknown>;

function table(settings: Readonly<Record<string, AnySetting>>): string {
  const rows = Object.entries(settings).map(([name, setting]) => {
    const { env, help } = setting;
    const shown =
      env === "DYN_FILE_KV"
        ? "`$XDG_RUNTIME_DIR/dyn`, else `dyn-<uid>` in the system's temporary directory"
        : `\`${formatDefault(setting)}\``;
    return `| ${"flag" in setting ? `\`--${setting.flag}\`` : ""} | \`${env}\` | \`${name}\` | ${shown} | ${help} |`;
  });
  return ["| flag | variable | in code | default | meaning |", "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

function variables(settings: Readonly<Record<string, Variable<never> | Variable<unknown>>>): string {
  const toCell = (fallback: unknown): string =>
    ['""', "{}", undefined].includes(JSON.stringify(fallback)) ? "" : `\`${JSON.stringify(fallback)}\``;
  const rows = Object.values(settings).map(
    ({ env, default: fallback, help }) => `| \`${env}\` | ${toCell(fallback)} | ${help} |`,
  );
  return ["| variable | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

const expected = `# Configuration

Every flag and variable of the programs. \`--help\` shows the flags of a program, \`--version\` its version.

\`\`\`sh
DYN_LOG=debug npx --no-install dyn-frontend --http-port 9000
\`\`\`

* A flag wins over its variable, a variable over the default. An empty variable counts as unset.
* A switch (default true or false) takes 1, true, on, yes, 0, false, off or no; its flag alone means true.
* Blanks and line ends around a value are ignored.
* A bad value ends the program with exit code 1 and one line on standard error: the flag or variable, the value and what was expected.
* In code a setting has the name of its flag, with capitals for dashes. Sizes are in bytes and times in ms there, and the name says so: \`--http-body-limit-mb 2\` is \`httpBodyLimitBytes: 2097152\`. The column *in code* has all names; what is no name is refused, with the one that was meant.
* The programs keep what V8 compiles in \`.compile-cache\` beside their code, for a faster next start; where they cannot write, they start without. Node's \`NODE_DISABLE_COMPILE_CACHE=1\` turns that off, \`NODE_COMPILE_CACHE\` names another directory.

Names and units are Dynamo's where Dynamo has the setting; defaults are our own. There are three exceptions:

| here | in Dynamo |
| --- | --- |
| \`DYN_DRAIN_TIMEOUT_MS\` | \`DYN_RUNTIME_GRACEFUL_SHUTDOWN_TIMEOUT_SECS\` |
| \`DYN_TCP_CONNECT_TIMEOUT_MS\` | \`DYN_TCP_CONNECT_TIMEOUT\`, in seconds |
| \`--endpoint\` of the mock worker, the last part of an address | a whole address, \`dyn://namespace.component.endpoint\` |

## Every process

${table(sharedSettings)}

A program of yours reads none of these variables unless it says so: \`createRuntime({ environment: process.env })\`. \`config\` wins over them.

## Every process that serves

Workers, and programs of yours that serve endpoints. A frontend has none of these flags.

${table(servingSettings)}

## Trace export

These have no flags; they are read only when \`OTEL_EXPORT_ENABLED\` is on. What they do: [Tracing](tracing.md).

${variables({ ...telemetrySwitches, ...telemetrySettings })}

The exporter of OpenTelemetry reads some variables of the process by itself, whatever a program gives as \`environment\`: those for certificates (\`OTEL_EXPORTER_OTLP_CERTIFICATE\`, \`…_CLIENT_KEY\`, \`…_CLIENT_CERTIFICATE\`), and \`OTEL_EXPORTER_OTLP_COMPRESSION\`.

## dyn-frontend

${table(frontendSettings)}

## dyn-mock-worker

${table({ ...mockSettings, ...commandSettings })}

## dyn-upstream-worker

${table(upstreamSettings)}
`;

test("the page of settings says what the code does", () => {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(page, expected);
  expect(readFileSync(page, "utf8")).toBe(expected);
});

describe("settings", () => {
  test("flag over variable over default", () => {
    expect(readSettings(runtimeSettings, {}, {}).tcpPort).toBe(0);
    expect(readSettings(runtimeSettings, { DYN_TCP_RPC_PORT: "" }, {}).tcpPort).toBe(0);
    expect(readSettings(runtimeSettings, { DYN_TCP_RPC_PORT: "7" }, {}).tcpPort).toBe(7);
    expect(readSettings(runtimeSettings, { DYN_TCP_RPC_PORT: "7" }, { tcpPort: "8" }).tcpPort).toBe(8);
  });

  test.each([
    [{ DYN_TCP_RPC_PORT: "x" }, 'DYN_TCP_RPC_PORT="x": expected a whole number from 0 to 65535'],
    [{ DYN_TCP_RPC_PORT: "1.5" }, "expected a whole number"],
    [{ DYN_LOGGING_JSONL: "maybe" }, "expected one of 1, true, on, yes, 0, false, off, no"],
    [
      { DYN_LOG: "info,a=loud" },
      'DYN_LOG="info,a=loud": unknown log level "loud" in "a=loud", expected off, error, warn, info, debug or trace',
    ],
    [{ DYN_DISCOVERY_BACKEND: "etcd" }, "expected one of file, mem"],
    [{ DYN_FILE_KV: " " }, 'DYN_FILE_KV=" ": expected a path, it is blank'],
    [{ DYN_TCP_TLS_CERT: "\n" }, 'DYN_TCP_TLS_CERT="\\n": expected a path, it is blank'],
  ])("%j is refused", (environment, message) => {
    expect(() => readSettings(runtimeSettings, environment, {})).toThrow(message);
  });

  test("blanks and line ends around a path are not part of it", () => {
    const inRuntime = ["DYN_FILE_KV", "DYN_TCP_TLS_CERT", "DYN_TCP_TLS_KEY", "DYN_TCP_TLS_CA", "DYN_PLANE_TOKEN_FILE"];
    const inFrontend = ["DYN_TLS_CERT_PATH", "DYN_TLS_KEY_PATH", "DYN_API_KEYS_FILE"];
    const environment = Object.fromEntries([...inRuntime, ...inFrontend].map((name) => [name, ` /a b/${name}\r\n`]));
    const values = [
      ...Object.values(readSettings(runtimeSettings, environment)),
      ...Object.values(readSettings(frontendSettings, environment)),
    ];
    for (const name of [...inRuntime, ...inFrontend]) expect(values).toContain(`/a b/${name}`);
  });

  test("a discovery directory is shown as everybody else would have to name it", () => {
    expect(readSettings(runtimeSettings, { DYN_FILE_KV: "kv/" }).fileKv).toBe(join(process.cwd(), "kv"));
    expect(() => readSettings(runtimeSettings, {}, { fileKv: "" })).toThrow(
      '--file-kv "": expected the path of a directory',
    );
  });

  test("have in code the names of their flags, sizes in bytes and times in ms", () => {
    const flags = [
      runtimeSettings,
      servingSettings,
      sharedSettings,
      frontendSettings,
      mockSettings,
      commandSettings,
      upstreamSettings,
    ].flatMap((table) =>
      Object.entries<AnySetting>(table).flatMap(([name, setting]) => ("flag" in setting ? [[name, setting.flag]] : [])),
    );
    const toName = (flag = ""): string =>
      flag
        .replace(/-mb$/, "-bytes")
        .replace(/-secs$/, "-ms")
        .replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    expect(flags.length).toBeGreaterThan(60);
    expect(flags.filter(([name, flag]) => name !== toName(flag))).toEqual([]);
  });

  test("what is given is not looked for in the environment", async () => {
    const environment = { DYN_TCP_RPC_PORT: "x", DYN_LOG: "warn" };
    await using runtime = await createRuntime({ config: { tcpPort: 0, discoveryBackend: "mem" }, environment });
    expect(runtime.config).toMatchObject({ tcpPort: 0, log: "warn" });
    await expect(createRuntime({ environment })).rejects.toThrow('DYN_TCP_RPC_PORT="x"');
  });

  test("every default is a value its own parser takes", () => {
    for (const settings of [runtimeSettings, frontendSettings, mockSettings, commandSettings, upstreamSettings]) {
      for (const { parse, default: fallback, shownDefault } of Object.values<Variable<unknown>>(settings))
        expect(parse(shownDefault ?? String(fallback))).toEqual(fallback);
    }
  });
});
