"""The official Python client's realtime connections, through the relay by its documented settings alone.

FAL_KEY, FAL_RUN_HOST=relay/run, SSL_CERT_FILE=<the relay's CA>.
"""

import asyncio
import os

import fal_client
import story


def converse():
    with fal_client.SyncClient().realtime(story.ENDPOINT, use_jwt=False, max_buffering=5) as connection:
        for number in range(3):
            connection.send({"prompt": story.PROMPT, "request_id": f"input-{number}", "seed": number})
            output = connection.recv()
            story.check(output["request_id"] == f"input-{number}", f"out of order: {output}")
            images = story.check_images(output)
        story.step("realtime", outputs=3, images=images)


def large_input():
    with fal_client.SyncClient().realtime(story.ENDPOINT, use_jwt=False) as connection:
        connection.send({"prompt": story.PROMPT, "padding": b"x" * (1 << 20)})
        story.step("an input of a megabyte", images=story.check_images(connection.recv()))


def failing():
    with fal_client.SyncClient().realtime(story.ENDPOINT, use_jwt=False) as connection:
        connection.send({"prompt": story.FAILING_PROMPT})
        try:
            connection.recv()
        except fal_client.client.RealtimeError as error:
            story.check(error.error == "INTERNAL_ERROR", f"the model's failure is {error}")
            story.step("a model that fails", error=error.error)
            return
    raise AssertionError("a model that fails gave an output")


def by_token():
    """As the client does it unasked: by a token, once its token host is the relay."""
    fal_client.client.REST_URL = "https://" + os.environ["FAL_QUEUE_RUN_HOST"]
    with fal_client.SyncClient().realtime(story.ENDPOINT) as connection:
        connection.send({"prompt": story.PROMPT})
        story.step("realtime by a token", images=story.check_images(connection.recv()))


async def at_once():
    async def one(number):
        client = fal_client.AsyncClient()
        async with client.realtime(story.ENDPOINT, use_jwt=False) as connection:
            await connection.send({"prompt": story.PROMPT, "request_id": str(number)})
            output = await connection.recv()
            story.check(output["request_id"] == str(number), f"another's output: {output}")

    await asyncio.gather(*(one(number) for number in range(10)))
    story.step("ten connections at once", outputs=10)


if __name__ == "__main__":
    converse()
    large_input()
    failing()
    by_token()
    asyncio.run(at_once())
