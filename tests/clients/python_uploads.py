"""Uploads by the official Python client through the relay.

FAL_KEY, SSL_CERT_FILE=<the relay's CA>, and one of

- RELAY_URL=https://relay: the relay has a name of its own, and two lines tell the client of it;
- FAL_HOSTS_AT=127.0.0.1:port: fal's names lead to the relay, as a resolver would have it, and the client is told nothing.
"""

import asyncio
import hashlib
import os
import socket
import tempfile

import fal_client
import httpx
import story

SMALL = b"\x89PNG a small picture"
# More than the 100 MiB from which on the client sends parts, and no whole number of them.
LARGE_MIB = 101
LIFECYCLE = fal_client.StorageSettings(expires_in="1h")

RELAY_URL = os.environ.get("RELAY_URL")


def tell_the_client():
    """The lines of docs/uploads.md."""
    fal_client.client.REST_URL = RELAY_URL
    fal_client.client.CDN_URL = RELAY_URL + "/storage/cdn"


def lead_fals_names_here():
    """What a resolver does: the names of fal's hosts are addresses of the relay."""
    host, port = os.environ["FAL_HOSTS_AT"].rsplit(":", 1)
    ask = socket.getaddrinfo

    def getaddrinfo(name, service, *rest, **more):
        text = name.decode() if isinstance(name, bytes) else name
        here = text in ("rest.fal.ai", "v3.fal.media")
        return ask(host if here else name, int(port) if here else service, *rest, **more)

    socket.getaddrinfo = getaddrinfo


def small_file(folder):
    path = os.path.join(folder, "small one.png")
    with open(path, "wb") as file:
        file.write(SMALL)
    return path


def large_file(folder):
    path = os.path.join(folder, "large.bin")
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for number in range(LARGE_MIB):
            piece = number.to_bytes(4, "big") * (256 << 10)
            digest.update(piece)
            file.write(piece)
    return path, digest.hexdigest()


def read(url):
    """What a model reads under an address: no key, and redirects are followed."""
    answer = httpx.get(url, follow_redirects=True)
    answer.raise_for_status()
    return answer.content


def check_file(url, digest):
    story.check(hashlib.sha256(read(url)).hexdigest() == digest, f"{url} has other bytes")


def upload_small(folder):
    path = small_file(folder)
    url = fal_client.upload_file(path, lifecycle=LIFECYCLE)
    story.check(read(url) == SMALL, f"{url} has other bytes")
    story.check("/storage/" not in url, f"{url} is no address of fal's")
    story.step("small", url=url)
    url = fal_client.upload(SMALL, "image/png", repository="fal", lifecycle=LIFECYCLE)
    story.check(read(url) == SMALL, f"{url} has other bytes")
    story.step("small, presigned", url=url)


def upload_large(folder):
    path, digest = large_file(folder)
    url = fal_client.upload_file(path)
    check_file(url, digest)
    story.step("large, in parts", url=url)
    url = fal_client.upload_file(path, repository="fal")
    check_file(url, digest)
    story.check("/storage/" not in url, f"{url} is no address of fal's")
    story.step("large, presigned", url=url)


async def upload_async(folder):
    client = fal_client.AsyncClient()
    url = await client.upload_file(small_file(folder))
    story.check(read(url) == SMALL, f"{url} has other bytes")
    story.step("async", url=url)


if __name__ == "__main__":
    name = "start"
    tell_the_client() if RELAY_URL else lead_fals_names_here()
    with tempfile.TemporaryDirectory() as folder:
        try:
            for walk in (upload_small, upload_large):
                name = walk.__name__
                walk(folder)
            # The asynchronous client takes its ports from addresses, which no resolver can change.
            if RELAY_URL:
                name = "upload_async"
                asyncio.run(upload_async(folder))
        except Exception as error:
            story.failed(name, error)
