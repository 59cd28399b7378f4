"""A receiver of webhooks that follows fal's rules, with the address of the keys as its only setting.

Reads one delivery from standard input: {"headers": {..}, "body": "<base64>"}. Prints what it thinks of it.
"""

import base64
import hashlib
import json
import os
import sys
import time
import urllib.request

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


delivery = json.load(sys.stdin)
print(verify(delivery["headers"], base64.b64decode(delivery["body"])))
