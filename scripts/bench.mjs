// `npm run bench`: set-up, then benchmarks/run.ts on the pinned Node.
import { spawn } from "node:child_process";
import { node, setUpOrExit } from "./bootstrap.mjs";

await setUpOrExit();
const child = spawn(node, ["benchmarks/run.ts", ...process.argv.slice(2)], { stdio: "inherit" });
child.on("exit", (code) => (process.exitCode = code ?? 1));
