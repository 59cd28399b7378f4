"""A receiver of webhooks that follows fal's rules, with the address of the keys as its only setting.

Prints its address, and then a line of JSON for each delivery: what it thinks of it, and its body.
"""

import base64
import hashlib
import json
import os
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

TOLERANCE_SECONDS = 300


def keys():
    with urllib.request.urlopen(os.environ["JWKS_URL"], timeout=10) as answer:
        return json.load(answer)["keys"]


def verify(headers, body):
    values = [
        headers.get("x-fal-webhook-" + name) for name in ("request-id", "user-id", "timestamp", "signature")
    ]
    if not all(values):
        return "a header is missing"
    request_id, user_id, timestamp, signature = values
    if abs(int(time.time()) - int(timestamp)) > TOLERANCE_SECONDS:
        return "stale"
    message = "\n".join([request_id, user_id, timestamp, hashlib.sha256(body).hexdigest()])
    for key in keys():
        # As fal's documentation reads it: this call wants the padding.
        public = base64.urlsafe_b64decode(key["x"])
        try:
            VerifyKey(public).verify(message.encode(), bytes.fromhex(signature))
            return "verified"
        except BadSignatureError:
            continue
    return "no key fits"


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        judged = verify(self.headers, body)
        print(json.dumps({"judged": judged, "body": base64.b64encode(body).decode()}), flush=True)
        self.send_response(200 if judged == "verified" else 401)
        self.send_header("content-length", str(len(judged)))
        self.end_headers()
        self.wfile.write(judged.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
