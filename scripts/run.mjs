// `npm run bench`, `npm run soak` and the like: set-up, then the file that is named, on the pinned Node.
import { spawn } from "node:child_process";
import { node, setUpOrExit } from "./bootstrap.mjs";

await setUpOrExit();
const child = spawn(node, process.argv.slice(2), { stdio: "inherit" });
// A Ctrl-C in the terminal reaches both; the child says how it ends.
process.on("SIGINT", () => undefined);
child.on("exit", (code) => (process.exitCode = code ?? 1));
