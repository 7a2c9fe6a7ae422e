/** Says whether a process can be made the first one of a PID namespace, as that of a container is: ends with 0 if so. */
import { spawnSync } from "node:child_process";
import { namespaceCommand } from "./first-process.ts";

const [command, ...args] = namespaceCommand;
const { status, stderr, error } = spawnSync(command, [...args, "true"], { encoding: "utf8" });
if (status !== 0) process.stderr.write(error ? `${command}: ${error.message}` : stderr);
process.exitCode = status ?? 1;
