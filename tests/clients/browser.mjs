// The official JavaScript client in a real Chromium, on a page of an origin of its own, led to the relay by a proxy address and
// by nothing else. RELAY_URL is the relay's base address; PROXY_URL is what a user gives to `proxyUrl`, with its client token;
// CHROMIUM is the browser, if it is not where Debian puts it.

import { createServer } from "node:http";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const { RELAY_URL, PROXY_URL, CHROMIUM = "/usr/bin/chromium" } = process.env;
const STORY_MAX_MS = 90_000;
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
  entryPoints: ["browser_page.mjs"],
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
const browser = await chromium.launch({ executablePath: CHROMIUM, args: BROWSER });
let wrong = [];
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(STORY_MAX_MS);
  wrong = watch(page);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const well = await page.evaluate(([relay, proxy]) => globalThis.story(relay, proxy), [RELAY_URL, PROXY_URL]);
  if (!well) wrong.push("the story did not end well");
} catch (error) {
  wrong.push(String(error));
} finally {
  await browser.close();
  server.close();
}
if (wrong.length > 0) {
  const token = PROXY_URL.split("/").pop();
  console.log(JSON.stringify({ step: "browser", ok: false, why: wrong }).replaceAll(token, "***"));
  process.exitCode = 1;
}
