"""The engine job behind a port, in a process of its own: ``serve_desk.py FOLDER`` prints the port, then serves.

Idea:   version, tape, ledger, engine and port are the real ones; only the project's files are left out. The key's
        secret is written to ``FOLDER/secret``. SIGUSR1 lets champions take turns, SIGUSR2 ends that.
"""

import argparse
import asyncio
import signal
from pathlib import Path
from types import SimpleNamespace

import uvloop
from desks import LIMITS, version_of
from jobs import ETH

from tradeworthy.apps.deployment.desk import collector_off
from tradeworthy.apps.server.port import Port
from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.change.access.keys import SCOPES, issue
from tradeworthy.core.time import SystemClock
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.live.control import ControlBlock
from tradeworthy.live.engine import Engine
from tradeworthy.live.feeds.pushed import PushedFeed
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.ledger import Ledger
from tradeworthy.record.tape import TapeWriter

SWAP_S = 0.05


class Swaps:
    """Lets versions take turns as champion while it is wanted."""

    def __init__(self, control: ControlBlock, versions: list[int]) -> None:
        self._control, self._versions, self.wanted = control, versions, False

    def want(self, wanted: bool) -> None:  # noqa: FBT001 - a signal handler's argument
        """Begin or end."""
        self.wanted = wanted

    async def go_on(self) -> None:
        """Swap while it is wanted."""
        turn = 0
        while True:
            await asyncio.sleep(SWAP_S)
            turn += self.wanted
            self._control.set_champion(self._versions[turn % len(self._versions)])


async def serve(engine: Engine, port: Port, swaps: Swaps) -> None:
    """Open the port and serve until SIGTERM."""
    feed, loop = PushedFeed(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, feed.close)
    loop.add_signal_handler(signal.SIGUSR1, swaps.want, True)
    loop.add_signal_handler(signal.SIGUSR2, swaps.want, False)
    others = [asyncio.create_task(port.attend()), asyncio.create_task(swaps.go_on())]
    running = asyncio.create_task(engine.run(feed))
    (address,) = await port.open()
    print(address.rpartition(":")[2], flush=True)
    await running
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await port.close()


def main() -> None:
    """Serve the engine job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--awake-us", type=float, default=0.0)
    parser.add_argument("--wait-ms-max", type=float, default=250.0)
    asked = parser.parse_args()
    folder, clock = asked.folder, SystemClock()
    versions = folder / "versions"
    made = [version_of(versions, name=f"v{k}", trees=200 - k) for k in range(3)]
    shelf = {version.number: version for version in made}
    control = ControlBlock(folder / "control")
    control.set_champion(made[0].number)
    ledger = Ledger(folder / "ledger.db", clock=clock)
    secret, _ = issue(
        ledger, owner="bench", scopes=SCOPES, entropy=bytes(32), now_ns=clock.now_ns(), actor="bench", reason="bench"
    )
    (folder / "secret").write_text(secret, encoding="ascii")
    with TapeWriter.open(folder / "tape", clock=clock) as tape:
        engine = Engine(
            instruments=(ETH,),
            load=shelf.__getitem__,
            tape=tape,
            control=control,
            venue=Paper(PaperSettings(), (ETH,)),
            clock=clock,
            limits=lambda: LIMITS,
        )
        settings = ServeSettings(port=0, awake_us=asked.awake_us, wait_ms_max=asked.wait_ms_max)
        project = SimpleNamespace(
            settings=SimpleNamespace(
                serve=settings, desk=SimpleNamespace(name="bench"), instrument=[ETH], monitor=MonitorSettings()
            ),
            registry=SimpleNamespace(load=None, list=list),
            folder=folder,
            clock=clock,
            ledger=ledger,
        )
        port = Port(project, engine, tape, clock)
        with collector_off(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(engine, port, Swaps(control, list(shelf))))
        engine.close()


if __name__ == "__main__":
    main()
