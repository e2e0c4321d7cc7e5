"""Clients that ask again and again, and remember what they saw."""

import http.client
import threading
import time
from collections import Counter


class Load:
    """So many clients with kept connections; what each request saw is in `seen`, what failed in `failed`.

    A connection that the server ended in good order (after `Connection: close`) is opened anew.
    """

    def __init__(self, address, path="/", clients=8, pause=0.002):
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.path = path
        self.pause = pause
        self.seen = Counter()
        self.failed = []
        self.last = {}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(index,), daemon=True) for index in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, index):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        while not self._stop.wait(self.pause):
            try:
                connection.request("GET", self.path)
                answer = connection.getresponse()
                body = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                connection.close()
                continue
            if answer.status == 200:
                self.seen[body] += 1
            else:
                self.failed.append(f"{answer.status} {answer.headers.get('Proxy-Status')}")
            self.last[index] = (time.monotonic(), body)
        connection.close()

    def all_see(self, body, since):
        """Whether each client has had an answer since then, and its last one was `body`."""
        return len(self.last) == len(self._threads) and all(
            at > since and seen == body for at, seen in self.last.values()
        )

    def stop(self):
        """Ends every client after the request that it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client hangs"
