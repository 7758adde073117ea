"""The client of the serving figures: `client.c`, compiled once where a compiler is found, run on the first core."""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness import HERE, KEPT

SOURCE = HERE / "client.c"


def is_realtime() -> bool:
    """Tell whether this process was given the real-time class."""
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR


@dataclass(frozen=True)
class Client:
    """A closed-loop HTTP client."""

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

    def ask(self, port: int, callers: int, seconds: float, requests: Path) -> dict[str, float]:
        """Ask so many at once for so long.

        Returns
        -------
        dict
            `count`, `per_s`, `p50`, `p99`, `p999`, `max` (us) and `bad`, the answers that were not 200.
        """
        words = [str(self.program), str(port), str(callers), str(seconds), str(requests)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE)  # noqa: S603
        os.sched_setaffinity(process.pid, {0})
        if is_realtime():
            os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(1))
        out, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the client ended with {process.returncode} asking port {port}")
        found: dict[str, float] = json.loads(out)
        return found


def post(path: str, body: dict[str, Any], secret: str = "") -> bytes:
    """Return a request as bytes."""
    data = json.dumps(body).encode()
    key = f"Authorization: Bearer {secret}\r\n" if secret else ""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{key}"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
