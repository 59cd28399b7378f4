"""The official Python client, asynchronous, through the relay by its documented settings alone:

FAL_KEY, FAL_QUEUE_RUN_HOST=relay, FAL_RUN_HOST=relay/run, SSL_CERT_FILE=<the relay's CA>.
"""

import asyncio

import fal_client
import story


async def submit_and_follow():
    handle = await fal_client.submit_async(story.ENDPOINT, {"prompt": story.PROMPT})
    story.check_handle(handle)
    result = await handle.get()
    images = story.check_images(result)
    done = await handle.status(with_logs=True)
    story.check(isinstance(done, fal_client.Completed), f"after its result the job is {done}")
    story.check_logs(done.logs)
    story.step("handle", request_id=handle.request_id, images=images)
    return handle.request_id, result


async def ask_by_id(request_id, first):
    quiet = await fal_client.status_async(story.ENDPOINT, request_id)
    story.check(isinstance(quiet, fal_client.Completed), f"status by id is {quiet}")
    story.check(quiet.logs is None, f"logs came unasked: {quiet.logs}")
    again = await fal_client.result_async(story.ENDPOINT, request_id)
    story.check(again == first, "the same result differs by id")
    story.step("status and result by id", request_id=request_id)


async def subscribe():
    ids, updates = [], []
    result = await fal_client.subscribe_async(
        story.ENDPOINT,
        {"prompt": story.UNHURRIED_PROMPT},
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=updates.append,
    )
    story.check(len(ids) == 1, f"enqueued {len(ids)} times")
    logs = story.check_updates(updates)
    story.step("subscribe", request_id=ids[0], updates=len(updates), logs=logs, images=story.check_images(result))


async def several_at_once():
    prompts = [f"{story.PROMPT}, number {n}" for n in range(5)]
    handles = await asyncio.gather(*(fal_client.submit_async(story.ENDPOINT, {"prompt": p}) for p in prompts))
    story.check(len({handle.request_id for handle in handles}) == len(prompts), "two jobs have one id")
    results = await asyncio.gather(*(handle.get() for handle in handles))
    said = [result.get("prompt") for result in results]
    story.check(said == prompts, f"the results are mixed up: {said}")
    story.step("several at once", jobs=len(results))


async def cancel():
    handle = await fal_client.submit_async(story.ENDPOINT, {"prompt": story.QUEUED_PROMPT})
    waiting = await handle.status()
    story.check(isinstance(waiting, fal_client.Queued), f"a job at the back of the line is {waiting}")
    await fal_client.cancel_async(story.ENDPOINT, handle.request_id)
    try:
        await handle.get()
    except fal_client.FalClientHTTPError as error:
        story.check_cancelled(error)
        story.step("cancel", request_id=handle.request_id, status=error.status_code)
        return
    raise AssertionError("a cancelled job gave a result")


async def run():
    result = await fal_client.run_async(story.ENDPOINT, {"prompt": story.PROMPT})
    story.step("run", images=story.check_images(result))


async def stream():
    events = [event async for event in fal_client.stream_async(story.ENDPOINT, {"prompt": story.PROMPT})]
    story.check(len(events) > 1, f"a stream of {len(events)} events")
    story.step("stream", events=len(events), images=story.check_images(events[-1]))


async def failing_job():
    handle = await fal_client.submit_async(story.ENDPOINT, {"prompt": story.FAILING_PROMPT})
    try:
        await handle.get()
    except fal_client.FalClientHTTPError as error:
        story.check_model_error(error)
        story.step("failing job", request_id=handle.request_id, detail=error.message[0]["msg"])
        return
    raise AssertionError("a failing job gave a result")


async def unknown_id():
    try:
        await fal_client.status_async(story.ENDPOINT, story.UNKNOWN_ID)
    except fal_client.FalClientHTTPError as error:
        story.check_unknown(error)
        story.step("unknown request id")
        return
    raise AssertionError("an unknown id has a status")


async def main():
    name = "submit"
    try:
        request_id, result = await submit_and_follow()
        name = "by id"
        await ask_by_id(request_id, result)
        for chapter in (subscribe, several_at_once, cancel, run, stream, failing_job, unknown_id):
            name = chapter.__name__
            await chapter()
    except Exception as error:
        story.failed(name, error)


if __name__ == "__main__":
    asyncio.run(main())
