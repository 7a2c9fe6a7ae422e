/** `DYN_LOG_EVENTS`: the level of each lifecycle event. */
import { RuntimeError } from "../errors.ts";
import { levels, parseLevel, type Level } from "./filter.ts";

/** The lines of a request that went well. Failures keep their own level. `route_request`: an attempt of a request that has a line of its own. */
export const logEvents = [
  "request_received",
  "request_completed",
  "http_response_sent",
  "http_response_finished",
  "route_request",
] as const;
export type LogEvent = (typeof logEvents)[number];

/** Undefined means off. */
export type EventLevels = Readonly<Record<LogEvent, Level | undefined>>;

function parseEvent(text: string, directive: string): LogEvent {
  const event = logEvents.find((name) => name === text.trim());
  if (event === undefined) {
    const expected = `expected ${logEvents.join(", ")}`;
    throw new RuntimeError(
      "invalid_argument",
      `unknown event ${JSON.stringify(text.trim())} in ${JSON.stringify(directive)}, ${expected}`,
    );
  }
  return event;
}

/** Compile `EVENT=LEVEL`, separated by commas, blanks trimmed, later ones winning; the other events are INFO, `route_request` DEBUG. @throws RuntimeError `invalid_argument`. */
export function parseLogEvents(directives: string): EventLevels {
  const chosen: Record<LogEvent, Level | undefined> = {
    request_received: "info",
    request_completed: "info",
    http_response_sent: "info",
    http_response_finished: "info",
    route_request: "debug",
  };
  for (const directive of directives.split(",").flatMap((text) => text.trim() || [])) {
    const [event = "", ...level] = directive.split("=");
    chosen[parseEvent(event, directive)] = levels[parseLevel(level.join("="), directive)];
  }
  return chosen;
}
