/** A real browser without a window, which opens one page and is told by it what happened. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Tool } from "./tools.ts";
import { find, requireTools } from "./tools.ts";

const CHROMIUM: Tool = {
  command: "chromium",
  debian: "chromium",
  advice: "install it (Debian: apt-get install chromium)",
};

const ARGUMENTS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--no-first-run",
  // Which certificate a server shows is tested elsewhere; here it is a self-made one.
  "--ignore-certificate-errors",
];
const DEADLINE_MS = 60_000;
const OUTPUT_MAX = 4_000;

export interface Page {
  /** Scripts that the page loads first, by name. */
  readonly scripts: Readonly<Record<string, string>>;
  /** The body of an async function; what it returns or throws is told. */
  readonly program: string;
}

type Told = { readonly result: unknown } | { readonly error: string };

const html = ({ scripts, program }: Page): string => `<!DOCTYPE html><meta charset="utf-8">
${Object.keys(scripts)
  .map((name) => `<script src="/${name}"></script>`)
  .join("")}
<script type="module">
const tell = (told) => fetch("/told", { method: "POST", body: JSON.stringify(told) });
try {
  tell({ result: await (async () => { ${program} })() });
} catch (error) {
  tell({ error: String(error) });
}
</script>`;

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

/**
 * Opens the page in Chromium, which is installed when missing.
 * @returns what its program returned
 */
export async function inBrowser(page: Page): Promise<unknown> {
  await requireTools([CHROMIUM]);
  const told = Promise.withResolvers<Told>();
  const server = createServer((request, response) => {
    const name = (request.url ?? "/").slice(1);
    if (name === "told") {
      bodyOf(request).then((text) => told.resolve(JSON.parse(text) as Told), told.reject);
      response.end();
      return;
    }
    const script = Object.hasOwn(page.scripts, name) ? page.scripts[name] : undefined;
    response.setHeader("content-type", script === undefined ? "text/html" : "text/javascript");
    response.end(script ?? html(page));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const profile = await mkdtemp(path.join(tmpdir(), "zonda-browser-"));
  const { port } = server.address() as AddressInfo;
  const child = spawn(
    find(CHROMIUM.command) ?? CHROMIUM.command,
    [...ARGUMENTS, `--user-data-dir=${profile}`, `http://127.0.0.1:${port}/`],
    { stdio: ["ignore", "ignore", "pipe"], detached: true },
  );
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => {
    output = (output + chunk).slice(-OUTPUT_MAX);
  });
  const fail = (why: string) => told.reject(new Error(`Cannot use the browser: ${why}\n${output}`));
  const timer = setTimeout(() => fail(`it told nothing in ${DEADLINE_MS} ms`), DEADLINE_MS);
  const gone = once(child, "exit");
  void gone.then(() => fail("it ended"));
  try {
    const answer = await told.promise;
    if ("error" in answer) throw new Error(`In the browser: ${answer.error}`);
    return answer.result;
  } finally {
    clearTimeout(timer);
    process.kill(-(child.pid as number), "SIGKILL"); // It and the processes of its own.
    await gone;
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
