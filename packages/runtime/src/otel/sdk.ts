/** Whether the packages of the OpenTelemetry SDK are installed, and where: whoever exports no spans needs none of them. */
import { realpathSync } from "node:fs";
import { findPackageJSON, registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { RuntimeError } from "../errors.ts";
import { peerRanges } from "../version.ts";
import type { Protocol } from "./settings.ts";

const always = ["api", "context-async-hooks", "core", "resources", "sdk-trace"].map((name) => `@opentelemetry/${name}`);
const exporters: Readonly<Record<Protocol, readonly string[]>> = {
  grpc: ["@grpc/grpc-js", "@opentelemetry/exporter-trace-otlp-grpc"],
  "http/protobuf": ["@opentelemetry/exporter-trace-otlp-proto"],
};

/** Tests look elsewhere. */
export interface SdkPlaces {
  /** URL of a module of this package. Default: this one. */
  readonly here?: string;
  /** Path of the program that runs. Default: that of this process. */
  readonly program?: string | undefined;
}

/** Do `work`, which imports the SDK. What is not installed where this package finds it is taken from where the program finds it: a global `npm install` puts
 *  what a command needs below that command. @throws RuntimeError `invalid_argument` naming the packages that are nowhere. */
export async function withSdk<Result>(
  protocol: Protocol,
  work: () => Promise<Result>,
  { here = import.meta.url, program = process.argv[1] }: SdkPlaces = {},
): Promise<Result> {
  const missing = [...always, ...exporters[protocol]].filter((name) => !isFound(name, here));
  if (missing.length === 0) return work();
  const parentURL = program === undefined ? here : toUrl(program);
  const absent = missing.filter((name) => !isFound(name, parentURL));
  if (absent.length > 0) throw new RuntimeError("invalid_argument", toAdvice(absent));
  const room = new URL(".", here).href;
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      missing.includes(specifier) && context.parentURL?.startsWith(room)
        ? next(specifier, { ...context, parentURL })
        : next(specifier, context),
  });
  try {
    return await work();
  } finally {
    hooks.deregister();
  }
}

// As an import finds it: `require` looks elsewhere, too.
function isFound(name: string, from: string): boolean {
  try {
    return findPackageJSON(name, from) !== undefined;
  } catch {
    return false;
  }
}

// Commands are started by links to them. What is no file has no packages of its own.
function toUrl(program: string): string {
  try {
    return pathToFileURL(realpathSync(program)).href;
  } catch {
    return pathToFileURL(program).href;
  }
}

function toAdvice(names: readonly string[]): string {
  const wanted = names.map((name) => `"${name}@${peerRanges[name] ?? "latest"}"`).join(" ");
  return `spans are to be exported, but packages that do this are not installed: npm install ${wanted}`;
}
