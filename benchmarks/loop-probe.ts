/** Loaded into a program before its own code (`--import`): tells its parent, when asked, what its event loop has cost. */

/** CPU time of the thread that runs the event loop so far. */
export interface LoopReading {
  readonly loopCpuMs: number;
}

process.on("message", () => {
  const { user, system } = process.threadCpuUsage();
  const reading: LoopReading = { loopCpuMs: (user + system) / 1e3 };
  process.send?.(reading);
});
