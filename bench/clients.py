"""The client of the serving figures: `client.c`, compiled once where a compiler is found, run on the first core."""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from harness import HERE, KEPT

SOURCE = HERE / "client.c"


def is_realtime() -> bool:
    """Tell whether this process was given the real-time class."""
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR


class Others(NamedTuple):
    """Callers beside those that are measured: how many, what they ask, and from which address of this machine.

    They are of the same process: two that poll on one core would measure how the system shares it between them.
    """

    callers: int
    requests: Path
    address: str


@dataclass(frozen=True)
class Client:
    """An HTTP client."""

    program: Path

    @classmethod
    def compiled(cls) -> Self | None:
        """Return the client; None without gcc."""
        compiler = shutil.which("gcc")
        if compiler is None:
            return None
        path = KEPT / f"client-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
        if not path.exists():
            KEPT.mkdir(exist_ok=True)
            subprocess.run([compiler, "-O2", "-o", str(path), str(SOURCE)], check=True)  # noqa: S603
        return cls(path)

    def ask(
        self,
        port: int,
        callers: int,
        seconds: float,
        requests: Path,
        *,
        rate: float = 0.0,
        beside: Others | None = None,
    ) -> dict[str, float]:
        """Ask so many at once for so long; with a rate, so many a second, whether they are answered or not.

        Returns
        -------
        dict
            `count`, `per_s`, `p50`, `p99`, `p999`, `max` (us) of the answers that were 200; `bad` and `bad_p99` of the
            others; `unsent`, those that found no connection free.
        """
        words = [str(self.program), str(port), str(callers), str(seconds), str(requests), str(rate)]
        words += [str(word) for word in beside or ()]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)  # noqa: S603
        os.sched_setaffinity(process.pid, {0})
        if is_realtime():
            os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(1))
        out, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the client ended with {process.returncode}: {process.args}")
        found: dict[str, float] = json.loads(out)
        return found


def post(path: str, body: dict[str, Any], secret: str = "") -> bytes:
    """Return a request as bytes."""
    data = json.dumps(body).encode()
    key = f"Authorization: Bearer {secret}\r\n" if secret else ""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{key}"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
