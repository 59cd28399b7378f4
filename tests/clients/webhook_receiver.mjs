// A receiver of webhooks that follows fal's rules, with the address of the keys as its only setting.
//
// Prints its address, and then a line of JSON for each delivery: what it thinks of it, and its body.

import { createHash, createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

const TOLERANCE_SECONDS = 300;
// What stands in front of the 32 bytes of an ED25519 key in its DER form.
const DER_HEAD = Buffer.from("302a300506032b6570032100", "hex");

async function keys() {
    const answer = await fetch(process.env.JWKS_URL);
    return (await answer.json()).keys;
}

async function judge(headers, body) {
    const names = ["request-id", "user-id", "timestamp", "signature"];
    const [requestId, userId, timestamp, signature] = names.map((name) => headers[`x-fal-webhook-${name}`]);
    if (!requestId || !userId || !timestamp || !signature) return "a header is missing";
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return "stale";
    const digest = createHash("sha256").update(body).digest("hex");
    const message = Buffer.from([requestId, userId, timestamp, digest].join("\n"));
    for (const { x } of await keys()) {
        const der = Buffer.concat([DER_HEAD, Buffer.from(x, "base64url")]);
        const key = createPublicKey({ key: der, format: "der", type: "spki" });
        if (verify(null, message, key, Buffer.from(signature, "hex"))) return "verified";
    }
    return "no key fits";
}

const server = createServer(async (request, answer) => {
    const body = await buffer(request);
    const judged = await judge(request.headers, body);
    console.log(JSON.stringify({ judged, body: body.toString("base64") }));
    answer.statusCode = judged === "verified" ? 200 : 401;
    answer.end(judged);
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
