"""Drills that measure or need more than a test may: see tests/drills/run. Only Python's standard library is used."""

import atexit
import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALLERS = 16
DEADLINE_SECONDS = 20


class Fal(ThreadingHTTPServer):
    """Takes every job, and says nothing on the queue while it is silent."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ids = itertools.count()
        self.taken = []
        self.left = []
        self.awake = threading.Event()
        self.awake.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/queue"):
            self.server.awake.wait()
        if self.path.endswith("/stream"):
            return self.stream()
        body = b'{"status":"COMPLETED"}'
        if self.command == "POST" and self.path.startswith("/queue"):
            name = f"job-{next(self.server.ids)}"
            self.server.taken.append(name)
            body = json.dumps({"request_id": name}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    def stream(self):
        """One event with the moment at which it left, and then nothing until the other side leaves."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"data: {time.perf_counter()}\n\n".encode())
        self.connection.recv(1)
        self.server.left.append(time.perf_counter())
        self.close_connection = True

    do_GET = do_POST = do_HEAD = answer

    def log_message(self, *_):
        pass


class Relay:
    """The real binary on free ports, in a folder."""

    def __init__(self, binary, fal, folder, wrapper=(), **settings):
        env = {"PATH": os.environ["PATH"], "FAL_KEY": "drill:drill", "FAL_RELAY_LOG__LEVEL": "error"}
        env["FAL_RELAY_PRICING__SYNC"] = "off"
        for name in ("LISTEN", "HTTPS_LISTEN", "ADMIN_LISTEN"):
            env[f"FAL_RELAY_SERVER__{name}"] = "127.0.0.1:0"
        for name in ("QUEUE", "RUN", "REST"):
            env[f"FAL_RELAY_UPSTREAM__{name}_URL"] = f"{fal.base}/{name.lower()}"
        env |= settings
        self.folder = folder
        command = [*wrapper, os.path.abspath(binary), "serve"]
        self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        banner = ""
        while "curl:" not in banner:
            line = self.process.stdout.readline()
            assert line, banner
            banner += line
        self.port = int(re.search(r"relay\s+http://127\.0\.0\.1:(\d+)", banner)[1])
        self.key = re.search(r"your key\s+(\S+)", banner)[1]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def call(self, method, path, connection=None):
        """The status, the relay's own error if it is one, and how long it took in milliseconds."""
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        start = time.perf_counter()
        body = b'{"prompt":"a cat"}' if method == "POST" else None
        connection.request(method, path, body, {"authorization": f"Key {self.key}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("x-relay-error"), (time.perf_counter() - start) * 1000

    def rows(self, where="1"):
        with contextlib.closing(sqlite3.connect(f"{self.folder}/fal-relay-data/relay.db")) as store:
            return store.execute(f"SELECT count(*) FROM calls WHERE {where}").fetchone()[0]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait() == 0


def spread(millis):
    millis = sorted(millis)
    at = lambda share: millis[min(len(millis) - 1, int(len(millis) * share))]
    return f"median {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms, most {millis[-1]:.1f} ms"


def flushes(binary, calls):
    """Every acknowledged submit is on the disk before fal hears of it, and again before its client does."""
    calls = int(calls)
    with tempfile.TemporaryDirectory() as folder:
        fal = Fal()
        trace = f"{folder}/trace"
        wrapper = ("strace", "-f", "-y", "-e", "trace=fdatasync,fsync", "-o", trace)
        relay = Relay(binary, fal, folder, wrapper)
        before = sum(1 for _ in open(trace))
        with ThreadPoolExecutor(CALLERS) as pool:
            answers = list(pool.map(lambda _: relay.call("POST", "/a/b")[0], range(calls)))
        child = subprocess.run(["pgrep", "-P", str(relay.process.pid)], capture_output=True, text=True, check=True)
        os.kill(int(child.stdout.split()[0]), signal.SIGTERM)
        relay.process.wait()
        lines = [line for line in open(trace)][before:]
        wal = sum(1 for line in lines if "relay.db-wal" in line and "sync(" in line)
        answered = answers.count(200)
        assert answered == calls == len(fal.taken), (answered, len(fal.taken))
        # A row is held and then sent: two batches that do not overlap for one call, shared by all that wait.
        assert wal >= 2 * calls / CALLERS, wal
        print(f"{answered} acknowledged submits by {CALLERS} callers: {wal} flushes of the log, "
              f"{answered * 2 / wal:.1f} acknowledged writes for each")
        single = Relay(binary, fal, tempfile.mkdtemp(dir=folder), wrapper)
        before = sum(1 for line in open(trace) if "relay.db-wal" in line)
        for _ in range(50):
            single.call("POST", "/a/b")
        after = sum(1 for line in open(trace) if "relay.db-wal" in line)
        single.process.kill()
        print(f"50 submits one after another: {after - before} flushes of the log (two for each)")
        assert after - before >= 100


def disk(binary):
    """A file system that is really full."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "drill", folder], check=True)
        try:
            fill(binary, folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def fill(binary, folder):
    fal = Fal()
    relay = Relay(binary, fal, folder)
    assert relay.call("POST", "/a/b")[0] == 200
    with open(f"{folder}/ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    taken, refused = 0, []
    while len(refused) < 100:
        status, error, millis = relay.call("POST", "/a/b")
        if status == 200:
            taken += 1
            assert taken < 10_000, "the disk never filled"
        else:
            assert (status, error) == (503, "ledger_unavailable"), (status, error)
            refused.append(millis)
    assert len(fal.taken) == taken + 1, "fal was called with nothing written down"
    for path in ("/a/b/requests/job-0/status", "/a/b/requests/job-0", "/health"):
        assert relay.call("GET", path)[0] == 200, path
    os.remove(f"{folder}/ballast")
    start = time.perf_counter()
    while relay.call("POST", "/a/b")[0] != 200:
        assert time.perf_counter() - start < DEADLINE_SECONDS
    recovered = time.perf_counter() - start
    until(lambda: relay.rows("state = 'settled'") == 1)
    with contextlib.closing(sqlite3.connect(f"{folder}/fal-relay-data/relay.db")) as store:
        check = store.execute("PRAGMA integrity_check").fetchone()[0]
    relay.stop()
    print(f"{taken} submits until it was full, then 100 refused with 503, 0 of them sent: {spread(refused)}; "
          f"questions answered; taken again {recovered * 1000:.0f} ms after there was room; integrity_check {check}")
    assert check == "ok"


def until(condition):
    start = time.perf_counter()
    while not condition():
        assert time.perf_counter() - start < DEADLINE_SECONDS
        time.sleep(0.02)


def failfast(binary):
    """A queue that goes silent while direct runs go on."""
    with tempfile.TemporaryDirectory() as folder:
        fal = Fal()
        relay = Relay(binary, fal, folder, FAL_RELAY_UPSTREAM__QUEUE_HEAD_TIMEOUT_SECONDS="2")
        line = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=60)
        runs = lambda: [relay.call("POST", "/run/a/b", line)[2] for _ in range(500)]
        runs()
        print(f"direct runs before: {spread(runs())}")
        fal.awake.clear()
        with ThreadPoolExecutor(5) as pool:
            silent = list(pool.map(lambda _: relay.call("POST", "/a/b"), range(5)))
        assert all(answer[1] == "outcome_unknown" for answer in silent), silent
        print(f"five calls into the silence, deadline 2 s: {spread([answer[2] for answer in silent])}")
        refused = []
        for _ in range(500):
            status, error, millis = relay.call("POST", "/a/b", line)
            assert (status, error) == (503, "upstream_resting"), (status, error)
            refused.append(millis)
        print(f"500 refusals while it rests: {spread(refused)}")
        print(f"direct runs meanwhile: {spread(runs())}")
        fal.awake.set()
        start = time.perf_counter()
        while relay.call("POST", "/a/b")[0] != 200:
            assert time.perf_counter() - start < DEADLINE_SECONDS
            time.sleep(0.01)
        print(f"well again {(time.perf_counter() - start) * 1000:.0f} ms after fal was")
        until(lambda: relay.rows("state = 'held'") == 0)
        assert relay.rows("state = 'unknown'") == 5
        relay.stop()


def latency(binary):
    """The first event, a client that leaves, and a fal that refuses connections."""
    with tempfile.TemporaryDirectory() as folder:
        fal = Fal()
        relay = Relay(binary, fal, folder)

        def stream(port, path):
            with socket.create_connection(("127.0.0.1", port)) as line:
                head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Key {relay.key}\r\ncontent-length: 2\r\n\r\n{{}}"
                line.sendall(head.encode())
                seen = b""
                while not (event := re.search(rb"data: ([\d.]+)\n\n", seen)):
                    seen += line.recv(65536)
                first = (time.perf_counter() - float(event[1])) * 1000
                before, gone = len(fal.left), time.perf_counter()
            until(lambda: len(fal.left) > before)
            return first, (fal.left[-1] - gone) * 1000

        straight = [stream(fal.server_port, "/run/a/b/stream") for _ in range(100)]
        through = [stream(relay.port, "/run/a/b/stream") for _ in range(100)]
        print(f"first event straight: {spread([first for first, _ in straight])}")
        print(f"first event through the relay: {spread([first for first, _ in through])}")
        print(f"client gone, fal's connection closed: {spread([gone for _, gone in through])}")
        relay.stop()
    with tempfile.TemporaryDirectory() as folder:
        fal.shutdown()
        fal.server_close()
        relay = Relay(binary, fal, folder)
        answers = [relay.call("POST", "/a/b") for _ in range(4)]
        assert all(answer[:2] == (502, "upstream_unreachable") for answer in answers), answers
        until(lambda: relay.rows("state = 'released'") == 4)
        print(f"fal refuses connections: 502, {spread([answer[2] for answer in answers])}")
        relay.stop()


if __name__ == "__main__":
    globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
