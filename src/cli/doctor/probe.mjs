// Walks through the official JavaScript client as it is installed. The lines that set it up stand before these; they
// take the key from `key`. One JSON line for each step that was tried; a step that fails does not stop those that need
// nothing of it.

const ENDPOINT = process.env.FAL_RELAY_DOCTOR_ENDPOINT;
const CANCEL_PROMPT = process.env.FAL_RELAY_DOCTOR_CANCEL_PROMPT;
const WRONG_KEY = process.env.FAL_RELAY_DOCTOR_WRONG_KEY;
const SPEND = process.env.FAL_RELAY_DOCTOR_SPEND === "1";
const UNKNOWN_ID = "00000000-0000-4000-8000-000000000000";
const INPUT = { prompt: "a cat" };
const WHY_MAX = 600;

let job = null;

function tell(step, ok, detail) {
  console.log(JSON.stringify({ step, ok, detail: String(detail).slice(0, WHY_MAX) }));
}

// The status and body with which an id that nobody has is answered.
async function askUnknown() {
  try {
    await fal.queue.status(ENDPOINT, { requestId: UNKNOWN_ID });
  } catch (error) {
    if (error.status === undefined) {
      throw error;
    }
    return [error.status, JSON.stringify(error.body)];
  }
  throw new Error("an unknown request has a status");
}

function images(output) {
  const count = output?.images?.length ?? 0;
  if (count === 0) {
    throw new Error(`no image in ${JSON.stringify(output)}`);
  }
  return `${count} image, ${String(output.images[0].url).slice(0, 100)}`;
}

function requestId() {
  if (job === null) {
    throw new Error("there is no request to follow, since submit failed");
  }
  return job;
}

const free = {
  async key() {
    const [status, body] = await askUnknown();
    if (status === 401) {
      throw new Error(`401: ${body}`);
    }
    if (status !== 404 || body !== '{"status":"NOT_FOUND"}') {
      throw new Error(`an unknown request is answered with ${status}: ${body}`);
    }
    return "accepted; an unknown request is answered with fal's own 404";
  },
  async "wrong key"() {
    const right = key;
    key = WRONG_KEY;
    try {
      const [status, body] = await askUnknown();
      if (status !== 401) {
        throw new Error(`answered with ${status}, not 401: ${body}`);
      }
    } finally {
      key = right;
    }
    return "refused with 401";
  },
};

const billed = {
  async submit() {
    const submitted = await fal.queue.submit(ENDPOINT, { input: INPUT });
    if (submitted.status_url.startsWith("https://queue.fal.run/")) {
      throw new Error(`its follow-ups lead to ${submitted.status_url}, past the relay`);
    }
    job = submitted.request_id;
    return `followed at ${submitted.response_url}`;
  },
  async status() {
    const { status } = await fal.queue.status(ENDPOINT, { requestId: requestId(), logs: true });
    return status;
  },
  async result() {
    await fal.queue.subscribeToStatus(ENDPOINT, { requestId: requestId() });
    return images((await fal.queue.result(ENDPOINT, { requestId: requestId() })).data);
  },
  async subscribe() {
    let updates = 0;
    const { data } = await fal.subscribe(ENDPOINT, { input: INPUT, logs: true, onQueueUpdate: () => (updates += 1) });
    return `${images(data)}, after ${updates} updates`;
  },
  async cancel() {
    const { request_id: requestId } = await fal.queue.submit(ENDPOINT, { input: { prompt: CANCEL_PROMPT } });
    try {
      await fal.queue.cancel(ENDPOINT, { requestId });
    } catch (error) {
      if (error.status !== 400 || !JSON.stringify(error.body).includes("ALREADY_COMPLETED")) {
        throw error;
      }
      return `request ${requestId} was done before the cancel came`;
    }
    return `request ${requestId}`;
  },
  async run() {
    return images((await fal.run(ENDPOINT, { input: INPUT })).data);
  },
  async stream() {
    let events = 0;
    for await (const _ of await fal.stream(ENDPOINT, { input: INPUT })) {
      events += 1;
    }
    if (events === 0) {
      throw new Error("the stream had no events");
    }
    return `${events} events`;
  },
  async upload() {
    return fal.storage.upload(new Blob(["a small file"], { type: "text/plain" }));
  },
};

tell("client", true, `@fal-ai/client in node ${process.versions.node}`);
for (const [name, walk] of Object.entries(SPEND ? { ...free, ...billed } : free)) {
  try {
    tell(name, true, await walk());
  } catch (error) {
    const cause = error.cause ? ` (${error.cause.message ?? error.cause})` : "";
    const body = error.body === undefined ? "" : ` ${JSON.stringify(error.body)}`;
    tell(name, false, `${error.message ?? error}${body}${cause}`);
    if (name === "key") {
      break;
    }
  }
}
