/** The document of the API as one page to read: nothing else is loaded, and no script runs. */
import type { JsonSchema } from "../inference/described.ts";
import { toFieldTable, toType } from "./field-rows.ts";
import { inline, markup, prose, type Html } from "./html.ts";
import { entriesOf, type Entry, type OpenApiDocument, type Response, type SecurityScheme } from "./openapi.ts";
import { pageStyle } from "./page-style.ts";
import { commonParameters, toErrorTable, toParameterTable, toSection } from "./page-section.ts";

/** The page. */
export function toPage(document: OpenApiDocument): string {
  const { info, tags, components } = document;
  const entries = entriesOf(document.paths);
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${info.title}: HTTP API</title>
<link rel="alternate" type="application/json" href="openapi.json">
<style>${{ markup: pageStyle }}</style>
</head>
<body>
<h1>${info.title} ${info.version}: HTTP API</h1>
<p>${info.summary} The same for programs: <a href="openapi.json">openapi.json</a>, OpenAPI ${document.openapi}.</p>
${prose(info.description)}
<nav>
${tags.map(({ name }) => toMenu(name, entries))}
<p><a href="#headers">Headers of any request</a> · <a href="#unmatched">Other paths and methods</a> · <a href="#keys">Keys</a> · <a href="#schemas">Schemas</a></p>
</nav>
<main>
${tags.map(
  ({ name, description }) => markup`<h2 id="${name}">${name}</h2>
<p>${description}</p>
${entries.filter(isOf(name)).map((entry) => toSection(entry, document))}`,
)}
<h2 id="headers">Headers of any request</h2>
${toParameterTable(commonParameters(document))}
<h2 id="unmatched">Other paths and methods</h2>
${toErrorTable(unmatchedOf(document))}
<h2 id="keys">Keys</h2>
<ul>
${Object.entries(components.securitySchemes).map(toKey)}</ul>
<h2 id="schemas">Schemas</h2>
${Object.entries(components.schemas).map(toSchema)}
</main>
</body>
</html>
`;
  return page.markup;
}

// Those that belong to no route; their names begin with the shape and the status.
function unmatchedOf({ paths, components }: OpenApiDocument): readonly (readonly [string, Response])[] {
  const used = JSON.stringify(paths);
  const others = Object.entries(components.responses).filter(([name]) => !used.includes(`/${name}"`));
  return others.map(([name, response]) => [name.split("-", 2)[1] ?? "", response]);
}

function isOf(tag: string): (entry: Entry) => boolean {
  return ({ operation }) => operation.tags.includes(tag);
}

function toMenu(tag: string, entries: readonly Entry[]): Html {
  return markup`<p><a href="#${tag}">${tag}</a></p>
<ul>
${entries.filter(isOf(tag)).map(
  ({ method, path, operation }) =>
    markup`<li><a href="#${operation.operationId}"><code>${method} ${path}</code></a> ${operation.summary}</li>
`,
)}</ul>`;
}

function toKey([name, { description, scheme, ...header }]: [string, SecurityScheme]): Html {
  const how = scheme === undefined ? `${header.name}: KEY` : "authorization: Bearer KEY";
  return markup`<li>${name}: <code>${how}</code>. ${inline(description)}</li>
`;
}

function toSchema([name, schema]: [string, JsonSchema]): Html {
  return markup`<h3 id="${name}">${name}</h3>
${toFieldTable(schema) ?? markup`<p>${toType(schema)}</p>`}
`;
}
