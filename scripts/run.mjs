// `npm run bench`, `npm run soak` and the like: set-up, then the file that is named, on the pinned Node.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { node, setUpOrExit } from "./bootstrap.mjs";

await setUpOrExit();
const child = spawn(node, process.argv.slice(2), { stdio: "inherit" });
// The child says how it ends. A Ctrl-C in the terminal reaches it twice, which is once to it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => (process.exitCode = code ?? 128 + constants.signals[signal]));
