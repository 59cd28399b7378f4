"""The official Python client's realtime connections, through the relay by its documented settings alone.

FAL_KEY, FAL_RUN_HOST=relay/run, SSL_CERT_FILE=<the relay's CA>.
"""

import asyncio
import contextlib
import os

import fal_client
import story
import websockets.exceptions


@contextlib.contextmanager
def realtime(**options):
    """A connection; another one when its first request never left this process.

    Python before 3.13 lets two threads into one TLS object, which OpenSSL forbids, and `websockets` reads in one thread while it
    writes in the other: once in a thousand connections of a busy machine the request is lost between them, as if it had been
    sent. The relay sees a connection on which nobody asks for anything, and ends it after `server.head_timeout_seconds`.
    """
    with contextlib.ExitStack() as stack:
        for chance in range(3):
            try:
                connection = stack.enter_context(fal_client.SyncClient().realtime(story.ENDPOINT, **options))
                break
            except websockets.exceptions.InvalidMessage as error:
                if chance == 2 or not isinstance(error.__cause__, EOFError):
                    raise
                story.step("a request that was lost in this process", chance=chance)
        yield connection


def converse():
    with realtime(use_jwt=False, max_buffering=5) as connection:
        for number in range(3):
            connection.send({"prompt": story.PROMPT, "request_id": f"input-{number}", "seed": number})
            output = connection.recv()
            story.check(output["request_id"] == f"input-{number}", f"out of order: {output}")
            images = story.check_images(output)
        story.step("realtime", outputs=3, images=images)


def large_input():
    with realtime(use_jwt=False) as connection:
        connection.send({"prompt": story.PROMPT, "padding": b"x" * (1 << 20)})
        story.step("an input of a megabyte", images=story.check_images(connection.recv()))


def failing():
    with realtime(use_jwt=False) as connection:
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
    with realtime() as connection:
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
