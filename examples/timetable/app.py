"""A small web service: a ferry's timetable. Standard library only."""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from timetable import clock, departures, parse

GREETING = "The next ferry leaves soon"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/healthz":
            return self.answer(200, "text/plain", "ok\n")
        if url.path == "/departures":
            return self.departures(parse_qs(url.query))
        if url.path == "/":
            return self.answer(200, "text/plain; charset=utf-8", GREETING + "\n")
        return self.answer(404, "text/plain", "no such page\n")

    def departures(self, query):
        try:
            now = parse(query["from"][0]) if "from" in query else self.now()
        except ValueError as error:
            return self.answer(400, "text/plain", f"{error}\n")
        body = {"departures": [clock(m) for m in departures(now)]}
        return self.answer(200, "application/json", json.dumps(body) + "\n")

    def now(self):
        local = time.localtime()
        return local.tm_hour * 60 + local.tm_min

    def answer(self, status, kind, body):
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        print(f"{self.command} {self.path} {args[1]}", flush=True)


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main():
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    # `shutdown` waits for the loop, so it may not run inside of it.
    stop = lambda *_: threading.Thread(target=server.shutdown).start()
    signal.signal(signal.SIGTERM, stop)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
