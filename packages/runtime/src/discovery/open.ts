/** The discovery a configuration asks for. */
import type { RuntimeConfig } from "../runtime-settings.ts";
import type { Logger } from "../logging/logger.ts";
import type { Discovery } from "./discovery.ts";
import { openFileDiscovery } from "./file.ts";
import { createMemoryDiscovery, createMemorySpace, type MemorySpace } from "./memory.ts";

/** Open it; whoever does disposes it. `memorySpace` is for `mem`; default: a space of its own.
 *  @throws RuntimeError `unavailable` if its directory cannot be used. */
export async function openDiscovery(config: RuntimeConfig, log: Logger, memorySpace: MemorySpace | undefined): Promise<Discovery> {
  const discoveryLog = log.child({ target: "dyn_runtime::discovery" });
  switch (config.discoveryBackend) {
    case "file":
      return openFileDiscovery({ root: config.fileKv, isShared: config.fileKvShared, log: discoveryLog });
    case "mem":
      return createMemoryDiscovery(memorySpace ?? createMemorySpace(), discoveryLog);
  }
}
