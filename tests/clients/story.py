"""What the Python stories share: one JSON line per step, and a clear word on the first failure."""

import json
import os
import sys

ENDPOINT = "fal-ai/flux-1/dev"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"

# The sandbox reads these marks in a prompt: wait in the queue, run slowly, fail as a model does.
PROMPT = "a cat on a stone wall"
UNHURRIED_PROMPT = "a cat that takes its time [[queue:1]] [[slow:1]]"
QUEUED_PROMPT = "a cat at the back of the line [[queue:60]]"
FAILING_PROMPT = "a cat that cannot be [[fail:422]]"

QUEUE_BASE = "https://" + os.environ["FAL_QUEUE_RUN_HOST"] + "/"

_KEY = os.environ["FAL_KEY"]


def step(name, **facts):
    """Tells that a step is done."""
    print(json.dumps({"step": name, "ok": True, **facts}), flush=True)


def check(true, why):
    """Ends the step when something is not as fal has it."""
    if not true:
        raise AssertionError(why)


def check_handle(handle):
    """The three addresses of a submit lead to the relay, under fal's own path."""
    base = f"{QUEUE_BASE}fal-ai/flux-1/requests/{handle.request_id}"
    check(handle.response_url == base, f"response_url is {handle.response_url}, not {base}")
    check(handle.status_url == base + "/status", f"status_url is {handle.status_url}")
    check(handle.cancel_url == base + "/cancel", f"cancel_url is {handle.cancel_url}")


def check_images(result):
    """A picture has an address and a size. Returns how many there are."""
    images = result.get("images")
    check(isinstance(images, list) and images, f"no images in {str(result)[:300]}")
    for image in images:
        check(str(image.get("url", "")).startswith(("http://", "https://")), f"an image without address: {image}")
        for side in ("width", "height"):
            check(type(image.get(side)) is int and image[side] > 0, f"an image without {side}: {image}")
    return len(images)


def check_logs(logs):
    """Log lines came, and each has its message. Returns how many there are."""
    check(isinstance(logs, list) and logs, f"no log lines: {logs!r}")
    check(all(isinstance(line.get("message"), str) for line in logs), f"a log line without message: {logs}")
    return len(logs)


def check_updates(updates):
    """A job that takes its time is seen queued, then in progress, then completed. Returns the log lines seen."""
    names = [type(update).__name__ for update in updates]
    order = [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]
    check(order == ["Queued", "InProgress", "Completed"], f"the states came as {order}")
    check(all(u.position >= 0 for u in updates if hasattr(u, "position")), "a queue position below zero")
    return check_logs(updates[-1].logs)


def check_model_error(error):
    """A failed job shows the model's own detail."""
    check(error.status_code == 422, f"a failed job answered {error.status_code}: {error.message}")
    check(isinstance(error.message, list) and error.message, f"the model's detail is lost: {error.message!r}")
    check({"loc", "msg", "type"} <= set(error.message[0]), f"the detail is not fal's: {error.message}")


def check_unknown(error):
    """An id that nobody has answers in fal's own words."""
    check(error.status_code == 404, f"an unknown id answered {error.status_code}")
    check(error.response.json() == {"status": "NOT_FOUND"}, f"an unknown id answered {error.response.text[:200]}")


def check_cancelled(error):
    """The result of a cancelled job is an error that fal's clients show."""
    check(400 <= error.status_code < 500, f"a cancelled job answered {error.status_code}")


def failed(name, error):
    """Tells what went wrong, never with the key in it, and ends with an exit code."""
    why = f"{type(error).__name__}: {error}".replace(_KEY, "***")
    print(json.dumps({"step": name, "ok": False, "why": why}), flush=True)
    sys.exit(1)
