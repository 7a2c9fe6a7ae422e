/** The discovery a configuration asks for. */
import type { RuntimeConfig } from "../settings/runtime-config.ts";
import type { Logger } from "../logging/logger.ts";
import type { Tokens } from "../security/auth.ts";
import type { DiscoveryBackend } from "./discovery.ts";
import { openFileDiscovery } from "./file.ts";
import { createMemoryDiscovery, createMemorySpace, type MemorySpace } from "./memory.ts";

/** What a discovery gets from its runtime. */
export interface OpenDiscoveryOptions {
  readonly log: Logger;
  /** Those of the plane sign records of a directory. */
  readonly tokens: () => Tokens | undefined;
  /** For `mem`. Default: a space of its own. */
  readonly memorySpace: MemorySpace | undefined;
}

/** Open it; whoever does disposes it.
 *  @throws RuntimeError `unavailable` if its directory cannot be used. */
export async function openDiscovery(
  config: RuntimeConfig,
  { log, tokens, memorySpace }: OpenDiscoveryOptions,
): Promise<DiscoveryBackend> {
  const discoveryLog = log.child({ target: "dyn_runtime::discovery" });
  switch (config.discoveryBackend) {
    case "file":
      return openFileDiscovery({ root: config.fileKv, isShared: config.fileKvShared, tokens, log: discoveryLog });
    case "mem":
      return createMemoryDiscovery(memorySpace ?? createMemorySpace(), discoveryLog);
  }
}
