"""The service behind the gateway: HTTP/1.1, with a path for each behaviour."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = bytes(256 * 1024)


class Answers(BaseHTTPRequestHandler):
    """Each path is a behaviour; an unknown one is answered with the name of the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        _, what, *rest = self.path.split("?")[0].split("/")
        number = int(rest[0]) if rest and rest[0].isdigit() else 0
        if what == "bytes":
            self.zeros(number)
        elif what == "chunked":
            self.chunked()
        elif what == "status":
            self.answer(number, b"" if number in (204, 304) else b"status\n")
        elif what == "head":
            self.answer(200, json.dumps(dict(self.headers.items())).encode())
        elif what == "slow":
            self.slow(number)
        else:
            self.answer(200, self.server.says.encode())

    do_HEAD = do_GET

    def do_PUT(self):
        self.answer(200, str(self.count()).encode())

    do_POST = do_PUT

    def answer(self, status, body):
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def zeros(self, length):
        """So many zero bytes."""
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        while self.command != "HEAD" and length > 0:
            self.wfile.write(CHUNK[:length])
            length -= len(CHUNK)

    def begin_chunks(self, *fields):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, piece):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def chunked(self):
        """Three chunks and a trailer."""
        self.begin_chunks(("Trailer", "x-sum"))
        for piece in (b"one ", b"two ", b"three\n"):
            self.chunk(piece)
        self.wfile.write(b"0\r\nx-sum: 14\r\n\r\n")

    def slow(self, pieces):
        """So many chunks, each 50 ms after the one before."""
        self.begin_chunks()
        for index in range(pieces):
            self.server.pause.wait(0.05)
            self.chunk(b"%06d\n" % index)
        self.wfile.write(b"0\r\n\r\n")

    def count(self):
        """Reads the request's body and says how long it was."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            total = 0
            while size := int(self.rfile.readline().split(b";")[0], 16):
                total += self.skip(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return total
        return self.skip(int(self.headers.get("Content-Length", 0)))

    def skip(self, length):
        left = length
        while left > 0:
            left -= len(self.rfile.read(min(left, len(CHUNK))))
        return length

    def log_message(self, *_):
        pass


class Origin(ThreadingHTTPServer):
    """Serves from construction to `close`."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, says="hello\n", host="127.0.0.1", port=0):
        super().__init__((host, port), Answers)
        self.says = says
        self.pause = threading.Event()  # never set: its wait is a pause
        self.address = f"{host}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_):
        """A connection that ends early is the other side's business."""

    def close(self):
        self.shutdown()
        self.server_close()
