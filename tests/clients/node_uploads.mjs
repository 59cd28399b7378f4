// Uploads by the official JavaScript client in Node, through the relay by `proxyUrl` alone.
// RELAY_URL is the relay's base address, FAL_KEY a relay key. One JSON line per step; the first failure ends it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fal } from "@fal-ai/client";

const RELAY_URL = process.env.RELAY_URL?.replace(/\/+$/, "");
const FAL_KEY = process.env.FAL_KEY;

// More than the 90 MB from which on the client sends parts, and no whole number of them.
const LARGE_MIB = 91;

const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");

function step(name, facts = {}) {
  console.log(JSON.stringify({ step: name, ok: true, ...facts }));
}

function configure() {
  assert.ok(RELAY_URL && FAL_KEY, "set RELAY_URL and FAL_KEY");
  fal.config({ credentials: FAL_KEY, proxyUrl: { url: `${RELAY_URL}/api/fal/proxy`, when: "always" } });
}

// What a model reads under an address: no key.
async function check(url, bytes) {
  assert.ok(!url.startsWith(RELAY_URL), `${url} is no address of fal's`);
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  assert.equal(digest(new Uint8Array(await answer.arrayBuffer())), digest(bytes), "the stored file differs");
}

async function small() {
  const bytes = new TextEncoder().encode("a small file, for a model to read");
  const file = new File([bytes], "a small one.txt", { type: "text/plain" });
  const url = await fal.storage.upload(file, { lifecycle: { expiresIn: "1h" } });
  await check(url, bytes);
  step("small", { url });
}

async function large() {
  const bytes = new Uint8Array((LARGE_MIB << 20) + 1).map((_, at) => at >> 12);
  const url = await fal.storage.upload(new File([bytes], "large.bin", { type: "application/octet-stream" }));
  await check(url, bytes);
  step("large, in parts", { url });
}

async function inInput() {
  const input = await fal.storage.transformInput({ image_url: new Blob(["in the input"], { type: "text/plain" }) });
  await check(input.image_url, new TextEncoder().encode("in the input"));
  step("in the input", { url: input.image_url });
}

let name = "configure";
try {
  configure();
  for (const chapter of [small, large, inInput]) {
    name = chapter.name;
    await chapter();
  }
} catch (error) {
  const why = String(error?.message || error).replaceAll(FAL_KEY || "\0", "***");
  console.log(JSON.stringify({ step: name, ok: false, why, body: error.body }));
  process.exitCode = 1;
}
