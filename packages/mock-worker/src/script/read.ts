/** Scripts as texts: JSON or YAML. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { RuntimeError } from "@dyn/runtime";
import type { Script } from "./format.ts";
import { readRules } from "./schema.ts";

/** Characters of a script. */
const maxChars = 16 * 1024 * 1024;

const load = createRequire(import.meta.url);

/** The value of a text in JSON or YAML, which nobody has checked yet. @throws RuntimeError `invalid_argument` saying where it is neither. */
export function parseScript(text: string): unknown {
  if (text.length > maxChars)
    throw new RuntimeError("invalid_argument", `a script of ${text.length} characters, limit ${maxChars}`);
  try {
    return JSON.parse(text);
  } catch {
    return parseYaml(text); // which says by lines what is wrong
  }
}

function parseYaml(text: string): unknown {
  const { parse } = load("yaml") as typeof import("yaml"); // most scripts are JSON
  try {
    return parse(text, { maxAliasCount: 1_000, logLevel: "error" });
  } catch (cause) {
    const [reason = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    throw new RuntimeError("invalid_argument", `a script must be JSON or YAML: ${reason}`, { cause });
  }
}

/** A script as the text of a file: YAML if its name says so, else JSON. */
export function formatScript(path: string, script: Script): string {
  if (!/\.ya?ml$/i.test(path)) return `${JSON.stringify(script, undefined, 2)}\n`;
  const { stringify } = load("yaml") as typeof import("yaml");
  return stringify(script);
}

/** The script in a file. @throws RuntimeError `invalid_argument` naming the file, and what is wrong in it. */
export function readScript(path: string): unknown {
  try {
    const script = parseScript(readFileSync(path, "utf8"));
    readRules(script);
    return script;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError("invalid_argument", `script ${path}: ${reason}`, { cause });
  }
}
