/** Endpoints of one's own that are served over HTTP, in a setting. */
import { parseAddress } from "@dyn/runtime/internal";

/** A path of the frontend, and whom its requests go to. */
export interface ExposedPath {
  readonly path: string;
  /** `dyn://namespace.component.endpoint`. */
  readonly address: string;
}

const maxPaths = 256;
const maxPathChars = 256;
/** Characters that are the same in every spelling of a URL. */
const pathPattern = /^(?:\/[A-Za-z0-9._~-]+)+$/;

/** Members `PATH=dyn://namespace.component.endpoint`, separated by commas. @throws Error saying what is wrong with one. */
export function parseExposed(text: string): readonly string[] {
  const members = text.split(",").flatMap((member) => member.trim() || []);
  const paths = toExposedPaths(members).map(({ path }) => path);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw new Error(`${twice} is given twice, and can be one endpoint's only`);
  if (members.length > maxPaths) throw new Error(`expected at most ${maxPaths} paths, not ${members.length}`);
  return members;
}

/** As `parseExposed` gives them. @throws Error. */
export function toExposedPaths(members: readonly string[]): readonly ExposedPath[] {
  return members.map((member) => {
    const at = member.indexOf("=");
    if (at < 0) throw new Error("expected PATH=dyn://namespace.component.endpoint, separated by commas");
    const [path, address] = [member.slice(0, at).trim(), member.slice(at + 1).trim()];
    const problem = findProblem(path);
    if (problem !== undefined) throw new Error(`the path ${JSON.stringify(path.slice(0, maxPathChars))} ${problem}`);
    parseAddress(address);
    return { path, address };
  });
}

function findProblem(path: string): string | undefined {
  if (!path.startsWith("/")) return "must begin with /";
  if (path.length > maxPathChars) return `must have at most ${maxPathChars} characters, not ${path.length}`;
  if (/[*{}]/.test(path)) return "must be whole: * and {} stand for nothing";
  if (path.endsWith("/")) return "must not end with /: requests may";
  if (!pathPattern.test(path)) return "must be names of a-z, A-Z, 0-9, ., _, ~ and -, with one / before each";
  return path.split("/").some((name) => name === "." || name === "..") ? "must have no . and .. for a name" : undefined;
}
