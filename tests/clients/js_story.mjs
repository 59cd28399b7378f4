// What a user does with the official JavaScript client, whichever way it was led to the relay: in Node or in a browser, by
// middleware or by a proxy address. One JSON line per step; the first failure ends it.

import { ApiError, ValidationError, fal } from "@fal-ai/client";
import * as assert from "./check.mjs";

const ENDPOINT = "fal-ai/flux-1/dev";
const UNKNOWN_ID = "00000000-0000-4000-8000-000000000000";
// The sandbox reads these marks in a prompt: wait in the queue, run slowly, fail as a model does.
const PROMPT = "a dog on a stone wall";
const UNHURRIED_PROMPT = "a dog that takes its time [[queue:1]] [[slow:1]]";
const QUEUED_PROMPT = "a dog at the back of the line [[queue:60]]";
const FAILING_PROMPT = "a dog that cannot be [[fail:422]]";

const POLL_MS = 100;

// From here on the client uploads in parts.
const MULTIPART_BYTES = 90 * 1024 * 1024;

const SOCKET_MAX_MS = 10_000;

// The relay's base address, for what its answers should say.
let relayUrl;

function step(name, facts = {}) {
  console.log(JSON.stringify({ step: name, ok: true, ...facts }));
}

function countImages(output) {
  assert.ok(output?.images?.length > 0, `no images in ${JSON.stringify(output)?.slice(0, 300)}`);
  for (const image of output.images) {
    assert.match(String(image.url), /^https?:\/\//, "an image without address");
    assert.ok(Number.isInteger(image.width) && image.width > 0, "an image without width");
    assert.ok(Number.isInteger(image.height) && image.height > 0, "an image without height");
  }
  return output.images.length;
}

function countLogs(logs) {
  assert.ok(Array.isArray(logs) && logs.length > 0, `no log lines: ${JSON.stringify(logs)}`);
  assert.ok(logs.every((line) => typeof line.message === "string"), "a log line without message");
  return logs.length;
}

// What a client sees of a job that takes its time.
function checkUpdates(updates) {
  const order = updates.map((update) => update.status).filter((status, at, all) => status !== all[at - 1]);
  assert.deepEqual(order, ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"], "the order of states");
  return countLogs(updates.at(-1).logs);
}

async function completed(requestId) {
  return fal.queue.subscribeToStatus(ENDPOINT, { requestId, pollInterval: POLL_MS, logs: true });
}

async function queueByHand() {
  const submitted = await fal.queue.submit(ENDPOINT, { input: { prompt: UNHURRIED_PROMPT } });
  const requestId = submitted.request_id;
  const base = `${relayUrl}/fal-ai/flux-1/requests/${requestId}`;
  assert.equal(submitted.response_url, base);
  assert.equal(submitted.status_url, `${base}/status`);
  assert.equal(submitted.cancel_url, `${base}/cancel`);

  await assert.rejects(fal.queue.result(ENDPOINT, { requestId }), (error) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, 400);
    assert.equal(error.body.detail, "Request is still in progress");
    return true;
  });

  const done = await completed(requestId);
  assert.equal(done.request_id, requestId);
  const logs = countLogs(done.logs);
  const quiet = await fal.queue.status(ENDPOINT, { requestId, logs: false });
  assert.equal(quiet.logs, null, "logs came unasked");
  const result = await fal.queue.result(ENDPOINT, { requestId });
  assert.equal(result.requestId, requestId, "x-fal-request-id of the result");
  step("queue: submit, status, result", { request_id: requestId, logs, images: countImages(result.data) });
}

async function cancel() {
  const { request_id: requestId } = await fal.queue.submit(ENDPOINT, { input: { prompt: QUEUED_PROMPT } });
  const waiting = await fal.queue.status(ENDPOINT, { requestId });
  assert.equal(waiting.status, "IN_QUEUE");
  assert.ok(Number.isInteger(waiting.queue_position), "no queue position");
  await fal.queue.cancel(ENDPOINT, { requestId });
  const after = await fal.queue.status(ENDPOINT, { requestId });
  assert.equal(after.status, "COMPLETED", "a cancelled job is still open");
  await assert.rejects(fal.queue.result(ENDPOINT, { requestId }), (error) => {
    assert.ok(error instanceof ApiError && error.status >= 400 && error.status < 500, String(error));
    return true;
  });
  step("queue: cancel", { request_id: requestId });
}

async function subscribe(mode) {
  const updates = [];
  const enqueued = [];
  const result = await fal.subscribe(ENDPOINT, {
    input: { prompt: UNHURRIED_PROMPT },
    mode,
    pollInterval: POLL_MS,
    logs: true,
    onEnqueue: (requestId) => enqueued.push(requestId),
    // The client hands out one growing list of log lines, so each update is kept as it was.
    onQueueUpdate: (update) => updates.push(structuredClone(update)),
  });
  assert.deepEqual(enqueued, [result.requestId], "the id enqueued and the id of the result");
  const logs = checkUpdates(updates);
  step(`subscribe: ${mode}`, { request_id: result.requestId, logs, images: countImages(result.data) });
}

async function run() {
  const result = await fal.run(ENDPOINT, { input: { prompt: PROMPT } });
  assert.ok(result.requestId, "no x-fal-request-id");
  step("run", { request_id: result.requestId, images: countImages(result.data) });
}

async function stream() {
  const stream = await fal.stream(ENDPOINT, { input: { prompt: PROMPT } });
  let events = 0;
  for await (const _ of stream) {
    events += 1;
  }
  assert.ok(events > 1, `a stream of ${events} events`);
  step("stream", { events, images: countImages(await stream.done()) });
}

function isModelError(error) {
  assert.ok(error instanceof ValidationError, `not a ValidationError: ${error}`);
  assert.equal(error.status, 422);
  assert.ok(error.fieldErrors.length > 0, "the model's detail is lost");
  for (const field of error.fieldErrors) {
    assert.ok(field.loc && field.msg && field.type, `the detail is not fal's: ${JSON.stringify(field)}`);
  }
  return true;
}

async function validationErrors() {
  await assert.rejects(fal.subscribe(ENDPOINT, { input: { prompt: FAILING_PROMPT }, pollInterval: POLL_MS }), isModelError);
  await assert.rejects(fal.run(ENDPOINT, { input: {} }), (error) => {
    isModelError(error);
    assert.ok(error.getFieldErrors("prompt").length > 0, "the missing field is not named");
    return true;
  });
  step("validation errors");
}

async function unknownId() {
  await assert.rejects(fal.queue.status(ENDPOINT, { requestId: UNKNOWN_ID }), (error) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, 404);
    assert.deepEqual(error.body, { status: "NOT_FOUND" });
    return true;
  });
  step("unknown request id");
}

async function upload() {
  const bytes = new TextEncoder().encode("a small file, for a model to read");
  const url = await fal.storage.upload(new Blob([bytes], { type: "text/plain" }));
  assert.match(url, /^https?:\/\//, "an upload without address");
  const stored = new Uint8Array(await (await fetch(url)).arrayBuffer());
  assert.deepEqual(stored, bytes, "the stored file differs");
  step("upload", { bytes: bytes.length });
}

async function uploadInParts() {
  const bytes = new Uint8Array(MULTIPART_BYTES + 1);
  bytes.forEach((_, at) => (bytes[at] = at % 251));
  const url = await fal.storage.upload(new Blob([bytes], { type: "application/octet-stream" }));
  const stored = new Uint8Array(await (await fetch(url)).arrayBuffer());
  assert.equal(stored.length, bytes.length, "the stored file has another length");
  assert.ok(stored.every((byte, at) => byte === bytes[at]), "the stored file differs");
  step("upload in parts", { bytes: bytes.length });
}

// The client asks for its token by the way that it was led; its socket goes to fal's own address, whatever is set, so a program
// that wants one replaces the global.
async function realtimeToken() {
  const address = await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no socket was opened")), SOCKET_MAX_MS);
    globalThis.WebSocket = class {
      constructor(url) {
        resolve(new URL(url));
      }
    };
    fal.realtime.connect("fal-ai/flux-1/dev", { onResult() {}, onError: reject }).send({ prompt: PROMPT });
  });
  assert.equal(`${address.protocol}//${address.host}${address.pathname}`, "wss://fal.run/fal-ai/flux-1/dev/realtime");
  assert.match(address.searchParams.get("fal_jwt_token"), /^fr_client_/, "not a token of the relay's");
  step("realtime token");
}

const chapters = {
  queueByHand,
  cancel,
  subscribePolling: () => subscribe("polling"),
  subscribeStreaming: () => subscribe("streaming"),
  run,
  stream,
  validationErrors,
  unknownId,
  upload,
  uploadInParts,
  realtimeToken,
};

// Tells all chapters with a client that `configure` has led to the relay at `base`; whether they went well.
export async function tell(base, secret, configure) {
  relayUrl = base?.replace(/\/+$/, "");
  let name = "configure";
  try {
    configure(fal);
    for (const [chapter, run] of Object.entries(chapters)) {
      name = chapter;
      await run();
    }
    return true;
  } catch (error) {
    const why = String(error?.message || error).replaceAll(secret || "\0", "***");
    const status = error instanceof ApiError ? error.status : undefined;
    console.log(JSON.stringify({ step: name, ok: false, why, status }));
    return false;
  }
}
