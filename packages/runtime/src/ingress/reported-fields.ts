/** Facts that a handler has reported, as fields of its line. */

type Facts = Readonly<Record<string, string | number | boolean>>;

/** What lines about a request say themselves, those that this one may lack included: whoever reads a log takes it for our word. */
const owned = new Set([
  "attempt",
  "error",
  "error.type",
  "error_detail",
  "error_type",
  "event",
  "mismatch",
  "outcome",
  "request.attempt",
  "status",
  "x_request_id",
]);

/** The same facts; one of those names gets `field.` before it, as a key of a program's own line does. */
export function toLineFacts(reported: Facts): Facts {
  if (!Object.keys(reported).some((name) => owned.has(name))) return reported;
  return Object.fromEntries(
    Object.entries(reported).map(([name, value]) => [owned.has(name) ? `field.${name}` : name, value]),
  );
}
