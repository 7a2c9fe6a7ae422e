/** Which version this is. */
import manifest from "@dyn/runtime/package.json" with { type: "json" };

/** As package.json has it. All packages of dyn have the same: a test compares them. */
export const version: string = manifest.version;

/** How a process names itself to its peers. */
export const agent: string = `dyn/${version}`;
