// The official JavaScript client in a real Chromium, on a page of an origin of its own, led to the relay by a proxy address with
// a client token in it, and by nothing else. RELAY_URL is the relay's base address; FAL_KEY a relay key, which stays with the
// page's server; CHROMIUM is the browser, if it is not where Debian puts it.

import { createServer } from "node:http";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const { RELAY_URL, FAL_KEY, CHROMIUM = "/usr/bin/chromium" } = process.env;
const BROWSER = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  // Whatever the browser or the page may think of, it stays on this machine.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
// What a browser says of every answer that is no success; the story provokes these.
const PROVOKED = /^Failed to load resource: the server responded with a status of (400|404|422|499) /;

const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script src="/page.js"></script>`;
const bundle = await build({
  entryPoints: [new URL("browser_page.mjs", import.meta.url).pathname],
  bundle: true,
  format: "iife",
  platform: "browser",
  write: false,
  logLevel: "error",
});
const script = bundle.outputFiles[0].contents;

function serve() {
  const server = createServer((request, response) => {
    const [type, body] = request.url === "/page.js" ? ["text/javascript", script] : ["text/html", html];
    response.writeHead(200, { "content-type": type }).end(body);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

// What a page's server does for each visitor.
async function makeToken(origin) {
  const answer = await fetch(`${RELAY_URL}/v1/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${FAL_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ allow: ["fal-ai/**"], seconds: 600, max_usd: "50", origins: [origin] }),
  });
  if (!answer.ok) throw new Error(`no client token: ${answer.status} ${await answer.text()}`);
  return (await answer.json()).token;
}

// What must not happen on a page: an error on its console, one that nobody caught, a request to another machine.
function watch(page) {
  const wrong = [];
  page.on("console", (message) => {
    const provoked = PROVOKED.test(message.text()) && message.location().url.startsWith(RELAY_URL);
    if (message.type() !== "error") console.log(message.text());
    else if (!provoked) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`uncaught: ${error}`));
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol !== "data:" && protocol !== "blob:" && hostname !== "127.0.0.1") wrong.push(`a request to ${hostname}`);
  });
  return wrong;
}

const server = await serve();
const origin = `http://127.0.0.1:${server.address().port}`;
const token = await makeToken(origin);
const browser = await chromium.launch({ executablePath: CHROMIUM, args: BROWSER });
let wrong = [];
try {
  const page = await browser.newPage();
  wrong = watch(page);
  await page.goto(`${origin}/`);
  const proxyUrl = `${RELAY_URL}/api/fal/proxy/${token}`;
  const well = await page.evaluate(([relay, proxy]) => globalThis.story(relay, proxy), [RELAY_URL, proxyUrl]);
  if (!well) wrong.push("the story did not end well");
} catch (error) {
  wrong.push(String(error));
} finally {
  await browser.close();
  server.close();
}
if (wrong.length > 0) {
  console.log(JSON.stringify({ step: "browser", ok: false, why: wrong }).replaceAll(token, "***"));
  process.exitCode = 1;
}
