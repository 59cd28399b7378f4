// The official JavaScript client's realtime connections in Node, through the relay: the client has no setting for where its
// socket goes, so the global WebSocket is replaced by one that knows the way.
// RELAY_URL is the relay's base address, FAL_KEY a relay key. One JSON line per step; the first failure ends it.

import assert from "node:assert/strict";
import { fal } from "@fal-ai/client";

const ENDPOINT = "fal-ai/flux-1/dev";
const RELAY_URL = process.env.RELAY_URL.replace(/\/+$/, "");
const FAL_KEY = process.env.FAL_KEY;

// With the key in a header, as a server can; or with a client token in the address, as a page must.
let keyInHeader = true;

globalThis.WebSocket = class extends WebSocket {
  constructor(url) {
    const there = String(url).replace("wss://fal.run/", `${RELAY_URL.replace(/^http/, "ws")}/run/`);
    super(there, keyInHeader ? { headers: { authorization: `Key ${FAL_KEY}` } } : undefined);
  }
};

// The client's own way to a token, led to the relay.
fal.config({
  credentials: FAL_KEY,
  requestMiddleware: async (request) => ({ ...request, url: request.url.replace("https://rest.fal.ai", RELAY_URL) }),
});

function step(name, facts = {}) {
  console.log(JSON.stringify({ step: name, ...facts }));
}

function connect(key) {
  const waiting = [];
  const heard = [];
  const hear = (outcome) => (waiting.length ? waiting.shift()(outcome) : heard.push(outcome));
  const connection = fal.realtime.connect(ENDPOINT, {
    connectionKey: key,
    throttleInterval: 0,
    ...(keyInHeader && { tokenProvider: async () => "the-key-is-in-the-header" }),
    onResult: (result) => hear({ result }),
    onError: (error) => hear({ error }),
  });
  const next = () => (heard.length ? heard.shift() : new Promise((resolve) => waiting.push(resolve)));
  return { connection, next };
}

async function converse(name) {
  const { connection, next } = connect(name);
  for (const number of [1, 2, 3]) {
    connection.send({ prompt: "a dog on a stone wall", request_id: `input-${number}` });
    const { result, error } = await next();
    assert.ok(result, String(error));
    assert.equal(result.request_id, `input-${number}`);
    assert.ok(result.images[0].url);
    step("output", { number });
  }
  connection.close();
}

async function failing() {
  const { connection, next } = connect("two");
  connection.send({ prompt: "a dog that cannot be [[fail:422]]" });
  const { error } = await next();
  assert.ok(error, "a model that fails gave an output");
  step("a model that fails", { error: String(error.message) });
  connection.close();
}

await converse("one");
await failing();
keyInHeader = false;
await converse("three");
process.exit(0);
