// `npm run bench`, `npm run bench:overload`: set-up, then benchmarks/run.ts or the one that is named, on the pinned Node.
import { spawn } from "node:child_process";
import { node, setUpOrExit } from "./bootstrap.mjs";

await setUpOrExit();
const [name = "run", ...args] = process.argv.slice(2);
const child = spawn(node, [`benchmarks/${name}.ts`, ...args], { stdio: "inherit" });
child.on("exit", (code) => (process.exitCode = code ?? 1));
