"""Walks through the official Python client as it is installed, by its documented settings alone.

Prints one JSON line for each step that was tried. A step that fails does not stop those that need nothing of it.
"""

import json
import os

ENDPOINT = os.environ["FAL_RELAY_DOCTOR_ENDPOINT"]
CANCEL_PROMPT = os.environ["FAL_RELAY_DOCTOR_CANCEL_PROMPT"]
WRONG_KEY = os.environ["FAL_RELAY_DOCTOR_WRONG_KEY"]
SPEND = os.environ["FAL_RELAY_DOCTOR_SPEND"] == "1"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
INPUT = {"prompt": "a cat"}
WHY_MAX = 600


def tell(step, ok, detail):
    print(json.dumps({"step": step, "ok": ok, "detail": detail[:WHY_MAX]}), flush=True)


try:
    import fal_client
except ImportError as error:
    tell("client", False, f"fal_client is not installed for this python3 ({error})")
    raise SystemExit(0)

job = None


def client():
    from importlib.metadata import PackageNotFoundError, version

    try:
        return "fal-client " + version("fal-client")
    except PackageNotFoundError:
        return "fal-client of unknown version"


def ask_unknown(key):
    """The status and body with which an id that nobody has is answered."""
    try:
        fal_client.SyncClient(key=key).status(ENDPOINT, UNKNOWN_ID)
    except fal_client.FalClientHTTPError as error:
        return error.status_code, error.response.text
    raise AssertionError("an unknown request has a status")


def key():
    status, body = ask_unknown(os.environ["FAL_KEY"])
    if status == 401:
        raise AssertionError("401: " + body)
    if status != 404 or json.loads(body) != {"status": "NOT_FOUND"}:
        raise AssertionError(f"an unknown request is answered with {status}: {body}")
    return "accepted; an unknown request is answered with fal's own 404"


def wrong_key():
    status, body = ask_unknown(WRONG_KEY)
    if status != 401:
        raise AssertionError(f"answered with {status}, not 401: {body}")
    return "refused with 401"


def images(result):
    count = len(result.get("images") or [])
    if count == 0:
        raise AssertionError("no image in " + str(result))
    return f"{count} image, {str(result['images'][0].get('url'))[:100]}"


def submit():
    global job
    handle = fal_client.submit(ENDPOINT, INPUT)
    if handle.status_url.startswith("https://queue.fal.run/"):
        raise AssertionError(f"its follow-ups lead to {handle.status_url}, past the relay")
    job = handle
    return "followed at " + handle.response_url


def the_job():
    if job is None:
        raise AssertionError("there is no request to follow, since submit failed")
    return job


def status():
    return type(the_job().status(with_logs=True)).__name__


def result():
    return images(the_job().get())


def subscribe():
    states = []
    result = fal_client.subscribe(
        ENDPOINT, INPUT, with_logs=True, on_queue_update=lambda update: states.append(type(update).__name__)
    )
    return f"{images(result)}, after {len(states)} updates"


def cancel():
    handle = fal_client.submit(ENDPOINT, {"prompt": CANCEL_PROMPT})
    try:
        handle.cancel()
    except fal_client.FalClientHTTPError as error:
        if error.status_code != 400 or "ALREADY_COMPLETED" not in error.response.text:
            raise
        return f"request {handle.request_id} was done before the cancel came"
    return "request " + handle.request_id


def run():
    return images(fal_client.run(ENDPOINT, INPUT))


def stream():
    events = list(fal_client.stream(ENDPOINT, INPUT))
    if not events:
        raise AssertionError("the stream had no events")
    return f"{len(events)} events"


def upload():
    # The lines of docs/uploads.md: the client has no setting for these hosts.
    base = "https://" + os.environ["FAL_QUEUE_RUN_HOST"]
    fal_client.client.REST_URL = base
    fal_client.client.CDN_URL = base + "/storage/cdn"
    return fal_client.upload(b"a small file", "text/plain", file_name="doctor.txt")


FREE = [("client", client), ("key", key), ("wrong key", wrong_key)]
BILLED = [submit, status, result, subscribe, cancel, run, stream, upload]

for name, walk in FREE + ([(walk.__name__, walk) for walk in BILLED] if SPEND else []):
    try:
        tell(name, True, walk())
    except Exception as error:
        tell(name, False, str(error) or type(error).__name__)
        if name == "key":
            break
