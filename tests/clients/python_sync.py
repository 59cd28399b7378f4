"""The official Python client, synchronous, through the relay by its documented settings alone:

FAL_KEY, FAL_QUEUE_RUN_HOST=relay, FAL_RUN_HOST=relay/run, SSL_CERT_FILE=<the relay's CA>.
"""

import fal_client
import story


def submit_and_follow():
    handle = fal_client.submit(story.ENDPOINT, {"prompt": story.PROMPT})
    story.check_handle(handle)
    result = handle.get()
    images = story.check_images(result)
    done = handle.status(with_logs=True)
    story.check(isinstance(done, fal_client.Completed), f"after its result the job is {done}")
    story.check_logs(done.logs)
    story.step("handle", request_id=handle.request_id, images=images)
    return handle.request_id, result


def ask_by_id(request_id, first):
    quiet = fal_client.status(story.ENDPOINT, request_id)
    story.check(isinstance(quiet, fal_client.Completed), f"status by id is {quiet}")
    story.check(quiet.logs is None, f"logs came unasked: {quiet.logs}")
    story.check(fal_client.result(story.ENDPOINT, request_id) == first, "the same result differs by id")
    story.step("status and result by id", request_id=request_id)


def subscribe():
    ids, updates = [], []
    result = fal_client.subscribe(
        story.ENDPOINT,
        {"prompt": story.UNHURRIED_PROMPT},
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=updates.append,
    )
    story.check(len(ids) == 1, f"enqueued {len(ids)} times")
    logs = story.check_updates(updates)
    story.step("subscribe", request_id=ids[0], updates=len(updates), logs=logs, images=story.check_images(result))


def cancel():
    handle = fal_client.submit(story.ENDPOINT, {"prompt": story.QUEUED_PROMPT})
    waiting = handle.status()
    story.check(isinstance(waiting, fal_client.Queued), f"a job at the back of the line is {waiting}")
    fal_client.cancel(story.ENDPOINT, handle.request_id)
    try:
        handle.get()
    except fal_client.FalClientHTTPError as error:
        story.check_cancelled(error)
        story.step("cancel", request_id=handle.request_id, status=error.status_code)
        return
    raise AssertionError("a cancelled job gave a result")


def run():
    result = fal_client.run(story.ENDPOINT, {"prompt": story.PROMPT})
    story.step("run", images=story.check_images(result))


def stream():
    events = list(fal_client.stream(story.ENDPOINT, {"prompt": story.PROMPT}))
    story.check(len(events) > 1, f"a stream of {len(events)} events")
    story.step("stream", events=len(events), images=story.check_images(events[-1]))


def failing_job():
    handle = fal_client.submit(story.ENDPOINT, {"prompt": story.FAILING_PROMPT})
    try:
        handle.get()
    except fal_client.FalClientHTTPError as error:
        story.check_model_error(error)
        story.step("failing job", request_id=handle.request_id, detail=error.message[0]["msg"])
        return
    raise AssertionError("a failing job gave a result")


def unknown_id():
    try:
        fal_client.status(story.ENDPOINT, story.UNKNOWN_ID)
    except fal_client.FalClientHTTPError as error:
        story.check_unknown(error)
        story.step("unknown request id")
        return
    raise AssertionError("an unknown id has a status")


def main():
    name = "submit"
    try:
        request_id, result = submit_and_follow()
        name = "by id"
        ask_by_id(request_id, result)
        for chapter in (subscribe, cancel, run, stream, failing_job, unknown_id):
            name = chapter.__name__
            chapter()
    except Exception as error:
        story.failed(name, error)


if __name__ == "__main__":
    main()
