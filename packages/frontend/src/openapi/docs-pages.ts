/** Serves the document of a port, and the page made of it: both made once, when somebody first asks, so that the start costs nothing. */
import { createHash } from "node:crypto";
import { sendPage, type Exchange } from "@dyn/runtime/internal";
import type { DescribedFrontend, DescribedRoute } from "./document.ts";

export interface DocsPages {
  showDocument(exchange: Exchange): Promise<void>;
  showPage(exchange: Exchange): Promise<void>;
}

interface Page {
  readonly type: string;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Pages {
  readonly document: Page;
  readonly page: Page;
}

/** `describe` is asked once. */
export function createDocsPages(describe: () => readonly [readonly DescribedRoute[], DescribedFrontend]): DocsPages {
  let made: Promise<Pages> | undefined;
  const pages = (): Promise<Pages> => (made ??= makePages(...describe()));
  return {
    showDocument: async (exchange) => show(exchange, (await pages()).document),
    showPage: async (exchange) => show(exchange, (await pages()).page),
  };
}

// Loaded when somebody first asks: it is a tenth of the sources, and most processes are never asked.
async function makePages(routes: readonly DescribedRoute[], frontend: DescribedFrontend): Promise<Pages> {
  const [{ createDocument }, { toPage }, { pageStyle }] = await Promise.all([
    import("./document.ts"),
    import("./page.ts"),
    import("./page-style.ts"),
  ]);
  const document = createDocument(routes, frontend);
  const styles = `'sha256-${createHash("sha256").update(pageStyle).digest("base64")}'`;
  const policy = `default-src 'none'; style-src ${styles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return {
    document: toFixed("application/json", JSON.stringify(document)),
    page: toFixed("text/html; charset=utf-8", toPage(document), { "content-security-policy": policy }),
  };
}

function toFixed(type: string, text: string, headers: Readonly<Record<string, string>> = {}): Page {
  const etag = `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`;
  return {
    type,
    text,
    headers: { etag, "cache-control": "no-cache", "x-content-type-options": "nosniff", ...headers },
  };
}

// `no-cache` has a browser ask again each time, with the tag of what it has.
function show(exchange: Exchange, { type, text, headers }: Page): void {
  const { request, response, commonHeaders, caller } = exchange;
  const known = request.headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  if (known.includes(headers["etag"] ?? ""))
    return void response.writeHead(304, { ...commonHeaders, ...headers }).end();
  sendPage(exchange, type, text, { isModest: !caller.isOperator, headers });
}
