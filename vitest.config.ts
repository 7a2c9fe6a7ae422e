import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string): string => fileURLToPath(new URL(`packages/${path}`, import.meta.url));

// Unit tests run the sources; tests of whole programs spawn the built commands.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@dyn\/runtime\/llm$/, replacement: source("runtime/src/llm.ts") },
      { find: /^@dyn\/runtime$/, replacement: source("runtime/src/index.ts") },
      { find: /^@dyn\/frontend$/, replacement: source("frontend/src/index.ts") },
      { find: /^@dyn\/mock-worker$/, replacement: source("mock-worker/src/index.ts") },
    ],
  },
  test: { include: ["tests/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 60_000, maxWorkers: 2 },
});
