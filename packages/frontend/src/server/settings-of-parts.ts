/** What each part of a frontend takes of its settings. */
import type { BodyLimits } from "../inference/fields.ts";
import { createPassHeaders } from "../inference/given-headers.ts";
import type { InferenceParts } from "../inference/serve.ts";
import type { FrontendOptions } from "../settings/frontend-options.ts";
import type { PortsOptions } from "./server.ts";

type InferenceOptions =
  | "deadlineLimits"
  | "fieldLimits"
  | "unknownFields"
  | "maxAnswerBytes"
  | "forwardHeaders"
  | "passHeaders"
  | "overloadStatus"
  | "keepAliveMs";

/** How requests are served. */
export function toInferenceOptions(settings: FrontendOptions): Pick<InferenceParts, InferenceOptions> {
  const { requestTimeoutMs, firstTokenTimeoutMs, tokenTimeoutMs, httpOverloadStatusCode, sseKeepAliveMs } = settings;
  const maxAnswerBytes = settings.httpAnswerLimitBytes;
  return {
    deadlineLimits: { totalMs: requestTimeoutMs, firstTokenMs: firstTokenTimeoutMs, betweenTokensMs: tokenTimeoutMs },
    fieldLimits: { ...toBodyLimits(settings), maxEchoBytes: maxAnswerBytes },
    unknownFields: settings.httpUnknownFields,
    maxAnswerBytes,
    forwardHeaders: settings.forwardHeaders,
    passHeaders: createPassHeaders(settings.responseHeaders),
    overloadStatus: httpOverloadStatusCode,
    keepAliveMs: sseKeepAliveMs,
  };
}

type Addresses = "http" | "operators" | "corsOrigins" | "allowedHosts" | "fieldLimits";

/** Where it listens, for whom, and what bodies may hold. */
export function toPortsOptions(settings: FrontendOptions): Pick<PortsOptions, Addresses> {
  const { httpHost, httpPort, operatorHost, operatorPort } = settings;
  return {
    http: { host: httpHost, port: httpPort },
    operators: operatorPort < 0 ? undefined : { host: operatorHost, port: operatorPort },
    corsOrigins: settings.httpCorsOrigins,
    allowedHosts: settings.httpAllowedHosts,
    fieldLimits: toBodyLimits(settings),
  };
}

type Bounds = "limits" | "maxBodyBytes" | "maxRequests" | "overloadStatus" | "strictRequestId" | "baggageKeys";

/** What all of its ports hold connections and requests to. */
export function toHostOptions(settings: FrontendOptions): Pick<PortsOptions["shared"], Bounds> {
  const { httpBodyLimitBytes, maxConcurrentRequests, httpOverloadStatusCode, strictRequestId, baggageKeys } = settings;
  return {
    limits: settings,
    maxBodyBytes: httpBodyLimitBytes,
    maxRequests: maxConcurrentRequests,
    overloadStatus: httpOverloadStatusCode,
    strictRequestId,
    baggageKeys: new Set(baggageKeys),
  };
}

function toBodyLimits({ httpMaxMessages, httpMaxCompletions }: FrontendOptions): BodyLimits {
  return { maxMessages: httpMaxMessages, maxCompletions: httpMaxCompletions };
}
