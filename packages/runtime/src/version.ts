/** Which version this is, and which it goes with. */
import manifest from "@dyn/runtime/package.json" with { type: "json" };

/** As package.json has it. All packages of dyn have the same: a test compares them. */
export const version: string = manifest.version;

/** How a process names itself to its peers. */
export const agent: string = `dyn/${version}`;

/** Versions of packages that whoever uses them installs. */
export const peerRanges: Readonly<Record<string, string>> = manifest.peerDependencies;
