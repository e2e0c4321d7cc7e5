"""What all gateways have in common: a program, a folder for its files, a running process."""

import os
import re
import subprocess

from peers.process import children, free_port, spawn, wait_for


class Running:
    """A gateway at work. `http1` and `http2` are where it listens; `change` puts another plan into force.

    A kind of gateway says how its files are `write`-n, its `command`, how it is told (`tell`), and its `settings`.
    """

    name = ""
    settings = ""
    package = ""  # whose program it is, where its name does not say
    only = ()  # the events that it is for, where not all
    asks_system = False  # whether names are asked of what resolv.conf says, and so at port 53
    version_of = ("-v",)  # the words that make the program say its version
    settles = 0.0  # seconds after its start that it needs before it carries everything over

    def __init__(self, program, folder, plan):
        folder.mkdir(parents=True, exist_ok=True)
        self.program, self.folder = program, folder
        self.port = free_port()
        self.http1 = self.http2 = f"127.0.0.1:{self.port}"
        self.prepare()
        self.write(plan)
        self.start()

    def prepare(self):
        """Whatever is to be there before the first config is written."""

    def start(self):
        self.process = spawn(self.command(), self.folder)
        wait_for(self.process, self.port)

    def change(self, plan):
        self.write(plan)
        self.tell()

    def tell(self):
        """Says that the files have changed, where they are not watched."""

    def processes(self):
        """How many processes it has."""
        return 1 + len(children(self.process.pid))

    def stop(self):
        below = children(self.process.pid)
        self.process.kill()  # it holds nothing; a drain would only take time
        self.process.wait()
        for child in below:
            try:
                os.kill(child, 9)
            except ProcessLookupError:
                pass

    def put(self, name, text):
        """Writes a file as careful tools do: beside it, then in its place."""
        beside = self.folder / f".{name}.new"
        beside.write_text(text)
        beside.rename(self.folder / name)
        return self.folder / name

    @classmethod
    def version(cls, program):
        """The number that the program says of itself."""
        said = subprocess.run([program, *cls.version_of], capture_output=True, text=True, timeout=30)
        found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
        return found[0] if found else "of unknown version"
