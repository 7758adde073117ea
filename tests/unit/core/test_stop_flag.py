"""A wish to stop that a signal handler may set while its own thread waits."""

import signal

from tradeworthy.core.time import StopFlag


def test_a_handler_ends_the_wait_of_its_own_thread():
    """The signal arrives inside `wait`, in the waiting thread itself, and the wait ends."""
    stop = StopFlag()
    before = signal.signal(signal.SIGALRM, lambda *_: stop.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert stop.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stop.is_set()


def test_a_wait_that_nobody_ends_says_so():
    """Without a wish the pause runs out."""
    stop = StopFlag()
    assert not stop.wait(0.01)
    assert not stop.is_set()
    stop.set()
    assert stop.wait(0.01)
