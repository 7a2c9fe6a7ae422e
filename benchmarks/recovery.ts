// How fast a cancel reaches the engine, and how long a client waits for the next token when its worker fails.
import { Agent } from "node:http";
import { measureCancels } from "./cancels.ts";
import { measureCrash, measureFault } from "./gaps.ts";
import { runBench } from "./table.ts";
import { timesHeading } from "./times.ts";

const agent = new Agent({ keepAlive: true });
try {
  await runBench({
    script: "bench:recovery",
    about: "how fast a cancel reaches the engine, and the pause a client sees when its worker fails",
    seconds: 60,
    heading: timesHeading,
    measure: async () => [
      ...(await measureCancels(agent)),
      ...(await measureFault(agent, "cut")),
      ...(await measureFault(agent, "error:unavailable")),
      ...(await measureCrash(agent)),
    ],
  });
} finally {
  agent.destroy();
}
