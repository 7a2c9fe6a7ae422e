/** One route on the page of the API. */
import type { JsonSchema } from "../inference/described.ts";
import { join, toFieldTable, toLimits, toSchemaLink, toType } from "./field-rows.ts";
import { inline, markup, prose, type Html } from "./html.ts";
import {
  entriesOf,
  type Entry,
  type MediaType,
  type OpenApiDocument,
  type Operation,
  type Parameter,
  type Reference,
  type Response,
} from "./openapi.ts";

/** Where a frontend is, unless it is told otherwise. */
const base = "http://127.0.0.1:8000";

export function toSection({ method, path, operation }: Entry, document: OpenApiDocument): Html {
  const { operationId, summary, description, security, requestBody, responses } = operation;
  const common = new Set(commonParameters(document));
  const parameters = parametersOf(operation, document).filter((parameter) => !common.has(parameter));
  const body = requestBody?.content["application/json"];
  return markup`<h3 id="${operationId}"><code>${method} ${path}</code> ${summary}</h3>
${prose(description)}
${security.length > 0 && markup`<p>${toKeyWords(security)}</p>`}
${toCommands(method, path, body, security).map(
  (command) => markup`<pre>${command}</pre>
`,
)}${
    parameters.length > 0 &&
    markup`<h4>Parameters</h4>
${toParameterTable(parameters)}`
  }${
    body &&
    markup`<h4>Body</h4>
<p>${inline(requestBody?.description ?? "")}</p>
${toContent(body.schema, document)}`
  }${Object.entries(responses).map(([status, response]) =>
    "$ref" in response ? "" : toAnswer(status, response),
  )}<h4>Errors</h4>
${toErrorTable(errorsOf(operation, document))}`;
}

export function toParameterTable(parameters: readonly Parameter[]): Html {
  return markup`<table>
<thead><tr><th>name</th><th>in</th><th>type</th><th>limits</th><th></th></tr></thead>
<tbody>
${parameters.map(toParameterRow)}</tbody>
</table>
`;
}

function toParameterRow({ name, in: place, required, schema, description }: Parameter): Html {
  const need = required && markup` <strong>required</strong>`;
  return markup`<tr><td><code>${name}</code>${need}</td><td>${place}</td><td>${toType(schema)}</td><td>${toLimits(schema)}</td><td>${inline(description)}</td></tr>
`;
}

/** Those of every route. */
export function commonParameters(document: OpenApiDocument): readonly Parameter[] {
  const [first = [], ...others] = entriesOf(document.paths).map(({ operation }) => parametersOf(operation, document));
  return first.filter((parameter) => others.every((each) => each.includes(parameter)));
}

function parametersOf({ parameters }: Operation, { components }: OpenApiDocument): readonly Parameter[] {
  return parameters.flatMap((parameter) =>
    "$ref" in parameter ? (components.parameters[nameOf(parameter)] ?? []) : parameter,
  );
}

function nameOf({ $ref }: Reference): string {
  return $ref.slice($ref.lastIndexOf("/") + 1);
}

function toKeyWords(security: Operation["security"]): string {
  const kinds = ["apiKey", "operatorKey"].filter((name) => security.some((each) => name in each));
  const names = kinds.map((kind) => (kind === "apiKey" ? "an API key" : "an operator's key")).join(" or ");
  const isOpen = security.some((each) => Object.keys(each).length === 0);
  return isOpen ? `Needs ${names} where the frontend asks for one.` : `Needs ${names}.`;
}

function toCommands(
  method: string,
  path: string,
  body: MediaType | undefined,
  security: Operation["security"],
): readonly string[] {
  const isOpen = security.length === 0 || security.some((each) => Object.keys(each).length === 0);
  const key = isOpen ? "" : " -H 'authorization: Bearer KEY'";
  if (method === "GET") return [`curl -s${key} ${base}${path.replace("{id}", "ID")}`];
  return Object.values(body?.examples ?? {}).map(({ value }) => {
    const flags = JSON.stringify(value).includes('"stream":true') ? "-sN" : "-s";
    const data = JSON.stringify(value).replaceAll("'", String.raw`'\''`);
    return `curl ${flags}${key} ${base}${path} \\\n  -H 'content-type: application/json' \\\n  -d '${data}'`;
  });
}

// A schema with a name is shown here if it is that of a body, which is what a reader came for; others are a link.
function toContent(schema: JsonSchema, { components }: OpenApiDocument): Html {
  const named = schema.$ref === undefined ? undefined : components.schemas[nameOf({ $ref: schema.$ref })];
  const table = toFieldTable(named ?? schema);
  return table ?? markup`<p>${toType(schema)}</p>`;
}

function toAnswer(status: string, { description, content = {} }: Response): Html {
  return markup`<h4>Answer ${status}</h4>
<p>${inline(description)}</p>
${Object.entries(content).map(
  ([type, media]) => markup`<p><code>${type}</code>${!media["x-itemSchema"] && markup`: ${toType(media.schema)}`}</p>
${media["x-itemSchema"] && toEvents(media["x-itemSchema"])}${
    media.example !== undefined &&
    markup`<pre>${typeof media.example === "string" ? media.example.trimEnd() : JSON.stringify(media.example, null, 2)}</pre>
`
  }`,
)}`;
}

interface Item {
  readonly description: string;
  readonly properties: { readonly event?: { readonly const: string }; readonly data: JsonSchema };
}

function toEvents({ anyOf = [] }: JsonSchema): Html {
  const items = anyOf as unknown as readonly Item[]; // as `toItem` of operation.ts has made them
  return markup`<table>
<thead><tr><th>event</th><th>data</th><th>when</th></tr></thead>
<tbody>
${items.map(
  ({
    description,
    properties: { event, data },
  }) => markup`<tr><td>${event && markup`<code>${event.const}</code>`}</td><td>${data.const === undefined ? toType(data.contentSchema as JsonSchema) : markup`<code>${String(data.const)}</code>`}</td><td>${inline(description)}</td></tr>
`,
)}</tbody>
</table>
`;
}

function errorsOf({ responses }: Operation, { components }: OpenApiDocument): readonly (readonly [string, Response])[] {
  const errors: [string, Response][] = [];
  for (const [status, response] of Object.entries(responses)) {
    const error = "$ref" in response ? components.responses[nameOf(response)] : undefined;
    if (error) errors.push([status, error]);
  }
  return errors;
}

/** Responses that are errors, by status. */
export function toErrorTable(errors: readonly (readonly [status: string, response: Response])[]): Html {
  const rows = errors.map(([status, { description, headers = {}, content = {} }]) => {
    const own = Object.keys(headers).filter((name) => !name.endsWith("request-id"));
    const shapes = new Set(JSON.stringify(content).match(/(?<=schemas\/)\w+/g));
    return markup`<tr><td>${status}</td><td>${prose(description)}</td><td>${join([...shapes].map(toSchemaLink))}</td><td>${own.map((name) => markup`<code>${name}</code> `)}</td></tr>
`;
  });
  return markup`<table>
<thead><tr><th>status</th><th>code, and when</th><th>body</th><th>headers</th></tr></thead>
<tbody>
${rows}</tbody>
</table>
`;
}
