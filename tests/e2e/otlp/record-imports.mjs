// Loaded with --import: writes the URL of every module of the OpenTelemetry SDK or of grpc, and of what describes the API, that the process loads to standard error.
// The API is no part of it: it is small, and the metrics library uses it.
import { registerHooks } from "node:module";
import { writeSync } from "node:fs";

registerHooks({
  load(url, context, next) {
    if (/node_modules\/(?:@opentelemetry\/(?!api\/)|@grpc\/)|\/openapi\/document\.js$/.test(url))
      writeSync(2, `loads ${url}\n`);
    return next(url, context);
  },
});
