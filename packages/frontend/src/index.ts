/** `@dyn/frontend`: the frontend as a library. */
/// <reference types="node" preserve="true" />
export { createFrontend } from "./frontend.ts";
export type { CreateFrontendOptions, Frontend } from "./frontend.ts";
export type { FrontendOptions } from "./settings/frontend-options.ts";
