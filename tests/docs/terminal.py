"""A reader's terminal: bash runs a page's blocks as they stand there, one after another in a fresh folder.

``uq-harness``, ``lm_eval``, ``pip`` and others are small programs that hand their words to this process, which has
loaded everything already: it runs what can run offline, and reads all else with the real command line.
"""

import contextlib
import io
import logging
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from unittest import mock

from lm_eval.__main__ import cli_evaluate

import uq_harness
from tests.docs.blocks import ROOT
from tests.docs.parsing import check
from uq_harness.cli import main

PROGRAMS = (
    "uq-harness",
    "lm_eval",
    "python",
    "python3",
    "pip",
    "uv",
    "pipx",
    "conda",
    "tox",
    "hf",
    "gh",
    "accelerate",
    "vllm",
    "docker",
    "sbatch",
)
_NOT_RUN = ("pip", "uv", "pipx", "conda", "tox", "hf", "gh", "accelerate", "vllm", "docker", "sbatch")
_SEND = """#!{python} -SE
import os, sys
from multiprocessing.connection import Client
with Client({address!r}, "AF_UNIX") as link:
    link.send((os.getcwd(), [os.path.basename(sys.argv[0]), *sys.argv[1:]]))
    status, out, err = link.recv()
sys.stdout.buffer.write(out)
sys.stderr.buffer.write(err)
sys.exit(status)
"""


class Terminal:
    """A folder with bash in it.

    Attributes:
        folder: The folder.
        ran: The commands that were run.
        read: The commands that were only read, since they need a network or another model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[list[str]] = []
        self.read: list[list[str]] = []
        self._address = ""
        self._site: Path | None = None  # where packages of the reader's are, once one is installed

    def run(self, script: str) -> str:
        """Output of a script, of which every command must succeed."""
        environment = {
            **os.environ,
            "PATH": f"{self.folder / '.programs'}{os.pathsep}{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
        }
        with Listener(family="AF_UNIX") as listener:
            self._address = str(listener.address)
            self._install(self.folder / ".programs")
            bash = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
            )
            said: list[str] = []
            waiting = threading.Thread(target=_wait, args=(bash, said, self._address))
            waiting.start()
            while self._serve(listener):
                pass
            waiting.join()
        assert bash.returncode == 0, f"{script}\n{said[0]}"
        return said[0]

    def _install(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            program = folder / name
            program.write_text(_SEND.format(python=sys.executable, address=self._address), encoding="utf-8")
            program.chmod(0o755)

    def _serve(self, listener: Listener) -> bool:
        """Answers one call; tells whether there may be more."""
        with listener.accept() as link:
            asked = link.recv()
            if asked is None:
                return False
            folder, words = asked
            with contextlib.chdir(folder):
                self._answer(link, words)
            return True

    def _answer(self, link: Connection, words: list[str]) -> None:
        if words[0].startswith("python"):
            link.send(self._python(words))
        elif words[:2] == ["pip", "install"] and words[-1].startswith("./"):
            self.ran.append(words)
            link.send(self._install_package(words[-1]))
        elif self._site is not None and words[0] in ("uq-harness", "lm_eval"):  # what runs here has not loaded it
            self.ran.append(words)
            command = words[1:] if words[0] == "uq-harness" else ["run", *words[1:]]
            link.send(self._fresh("-m", "uq_harness", *command))
        elif words[0] in _NOT_RUN or not is_offline(words):
            self.read.append(words)
            link.send(_called(lambda: check(words)) if words[0] not in ("hf", "gh") else (0, b"", b""))
        else:
            self.ran.append(words)
            with mock.patch.object(sys, "argv", words):
                link.send(_called(lambda: _run(words)))

    def _python(self, words: list[str]) -> tuple[int, bytes, bytes]:
        if words[1:3] == ["-m", "venv"]:
            programs = Path(words[3]) / "bin"
            self._install(programs)
            (programs / "activate").touch()
            return 0, b"", b""
        if words[1:3] == ["-m", "pytest"] and all((ROOT / word).exists() for word in words[3:]):  # it is what runs here
            return 0, b"", b""
        if words[1:3] == ["-m", "zipfile"]:  # unpacks what pip, which does not run, would have fetched
            return 0, b"", b""
        return self._fresh(*words[1:])

    def _fresh(self, *words: str) -> tuple[int, bytes, bytes]:
        """Status and output of an interpreter that has this package, and those that were installed."""
        path = os.pathsep.join(str(folder) for folder in (ROOT, self._site) if folder is not None)
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def _install_package(self, source: str) -> tuple[int, bytes, bytes]:
        self._site = self.folder / ".site"
        offline = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation")
        return self._fresh("-m", "pip", "install", *offline, "--target", str(self._site), source)


def _wait(bash: subprocess.Popen[str], said: list[str], address: str) -> None:
    said.append(bash.communicate()[0])
    with Client(address, "AF_UNIX") as link:
        link.send(None)


def is_offline(words: Sequence[str]) -> bool:
    """Whether a command of ``uq-harness`` or ``lm_eval`` asks for nothing but the demo model and local files."""
    program, command = words[0], words[1]
    if program == "lm_eval" and command in ("validate", "ls"):
        return True
    if "--config" in words:
        return "pretrained: demo\n" in Path(words[words.index("--config") + 1]).read_text(encoding="utf-8")
    if "--include_path" in words and "paraphrase" not in words:
        return any("pretrained=demo" in word for word in words)
    if program == "lm_eval" or command in ("run", "ablate"):
        return "--from" in words or ("uq_demo" in words and any("pretrained=demo" in word for word in words))
    if command in ("bench", "sps"):
        return "--model" not in words or "demo" in words
    if command == "score":
        return "--correctness" in words
    return command != "paraphrase"


def _run(words: Sequence[str]) -> None:
    if words[0] == "uq-harness":
        main()
    else:
        uq_harness.register()
        cli_evaluate()


def _called(function: Callable[[], None]) -> tuple[int, bytes, bytes]:
    """Exit status and output of what is called as a program of its own would be."""
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _own_logging():
        try:
            function()
        except SystemExit as end:
            status = end.code or 0
        except BaseException:
            traceback.print_exc()
            status = 70
    return int(status), out.getvalue().encode(), err.getvalue().encode()


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
