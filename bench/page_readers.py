"""So many open pages in a process of their own: each follows the server's events, the first says when what came.

python bench/page_readers.py ADDRESS COOKIES COUNT     prints "MONOTONIC_NS EVENTS" for each moment, until killed
"""

import sys
import threading

import httpx

from tradeworthy.core.time import SystemClock


def follow(address: str, cookies: str, *, tell: bool) -> None:
    """Read the events of one page as long as it sends any."""
    clock, event = SystemClock(), ""
    headers = {"cookie": cookies}
    with httpx.stream("GET", f"{address}/live", headers=headers, timeout=None) as answer:  # noqa: S113 - it lasts
        answer.raise_for_status()
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            event = value if name == "event" else event
            if tell and name == "data" and event == "moved":
                print(clock.monotonic_ns(), value, flush=True)


def main(address: str, cookies: str, count: int) -> None:
    """Open the pages and stay."""
    for place in range(count):
        threading.Thread(target=follow, args=(address, cookies), kwargs={"tell": place == 0}, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
