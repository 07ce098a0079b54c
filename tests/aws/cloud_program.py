"""A metadata service whose packets live so many hops, and an S3 that writes down who asks: `HOPS FILE`."""

from __future__ import annotations

import json
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

METADATA, S3 = ("169.254.169.254", 80), ("10.9.0.1", 9000)
KEY = "KEYOFTHEROLE"
_KEYS = {
    "Code": "Success",
    "AccessKeyId": KEY,
    "SecretAccessKey": "not one",
    "Token": "session",
    "Expiration": "2100-01-01T00:00:00Z",
}


class _Metadata(BaseHTTPRequestHandler):
    """IMDSv2: nothing without a token."""

    def do_PUT(self) -> None:
        self._say("a token")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "a token":
            self.send_error(401)
        elif self.path.endswith("/security-credentials/"):
            self._say("demo-eu-agent")
        else:
            self._say(json.dumps(_KEYS))

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class _S3(BaseHTTPRequestHandler):
    """Nobody may do anything here."""

    def _any(self) -> None:
        with Path(sys.argv[2]).open("a", encoding="utf-8") as file:
            file.write(f"{self.command} {self.path} {self.headers.get('Authorization')}\n")
        self.send_error(403)

    do_GET = do_HEAD = do_PUT = _any  # noqa: N815 - the standard library names


def main() -> None:
    metadata = ThreadingHTTPServer(METADATA, _Metadata)
    # From the first packet on: connections have it from the socket that listens.
    metadata.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(sys.argv[1]))
    Thread(target=metadata.serve_forever, args=(0.02,), daemon=True).start()
    s3 = ThreadingHTTPServer(S3, _S3)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    s3.serve_forever(0.02)


if __name__ == "__main__":
    main()
