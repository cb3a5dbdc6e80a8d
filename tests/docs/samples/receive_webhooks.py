"""Receives webhooks, with the standard library: python receive_webhooks.py"""

from __future__ import annotations

import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# whsec_…, as a whole; while a secret is changed the new and the old one.
SECRETS = os.environ["WEBHOOK_SECRET"].split()
PORT = int(os.environ.get("WEBHOOK_PORT", "9000"))
TOLERANCE_MS = 180_000

done: set[str] = set()  # in real life: a table with a unique key


def verified(header: str, body: bytes) -> bool:
    """Tell whether `t=<milliseconds>, v1=<hex>` fits the body as it was received."""
    parts = dict(part.strip().partition("=")[::2] for part in header.split(","))
    sent, signature = parts.get("t", ""), parts.get("v1", "")
    if not sent.isdecimal() or abs(time.time() * 1000 - int(sent)) > TOLERANCE_MS:
        return False
    signed = sent.encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, "sha256").hexdigest() for secret in SECRETS]
    return any(hmac.compare_digest(one.encode(), signature.encode()) for one in expected)


def handle(event: dict[str, object]) -> None:
    """Do the work: once for each event, in the order of its directory."""
    print(event["event"], event["id"])


class Receiver(BaseHTTPRequestHandler):
    """Answers fast: what is not 2xx within 15 seconds is sent again."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not verified(self.headers.get("WorkOS-Signature", ""), body):
            self.send_response(401)
            self.end_headers()
            return
        event = json.loads(body)
        if event["id"] not in done:  # the same event may come again
            handle(event)
            done.add(event["id"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


if __name__ == "__main__":
    print(f"listening on http://localhost:{PORT}/", flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
