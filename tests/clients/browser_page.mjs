// What the page of `browser.mjs` runs.

import { fal } from "@fal-ai/client";
import * as assert from "./check.mjs";
import { tell } from "./js_story.mjs";

const ENDPOINT = "fal-ai/flux-1/dev";
const OUTPUTS = 3;

// The client has no setting for where its sockets go: a page that wants one replaces the global. Its token it gets by the way that
// it was led.
function leadSockets(relay, Native) {
  globalThis.WebSocket = class extends Native {
    constructor(url, protocols) {
      super(String(url).replace("wss://fal.run/", `${relay.replace(/^http/, "ws")}/run/`), protocols);
    }
  };
}

async function converse() {
  const heard = [];
  let wake = () => {};
  const hear = (outcome) => (heard.push(outcome), wake());
  const connection = fal.realtime.connect(ENDPOINT, {
    connectionKey: "a page",
    throttleInterval: 0,
    onResult: (result) => hear({ result }),
    onError: (error) => hear({ error }),
  });
  for (let number = 0; number < OUTPUTS; number += 1) {
    connection.send({ prompt: "a dog on a stone wall", request_id: `input-${number}` });
    while (heard.length === 0) await new Promise((resolve) => (wake = resolve));
    const { result, error } = heard.shift();
    assert.ok(result, String(error));
    assert.equal(result.request_id, `input-${number}`);
    assert.ok(result.images[0].url, "an image without address");
  }
  connection.close();
  console.log(JSON.stringify({ step: "realtime", ok: true, outputs: OUTPUTS }));
  return true;
}

globalThis.story = async (relay, proxyUrl) => {
  const Native = globalThis.WebSocket;
  const well = await tell(relay, undefined, (fal) => fal.config({ proxyUrl }));
  leadSockets(relay, Native);
  return well && (await converse());
};
