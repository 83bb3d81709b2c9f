"""HTTP servers in threads, for what stands in the place of AWS."""

import http.server
from typing import Any


class Threaded(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # More connections are opened at a time than the five that are usual.
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Who goes away is not heard of."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves in several small writes.
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def taken(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("content-length", dict(headers).get("Content-Length", "0"))
        elif status >= 200 and status not in (204, 304):
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)
