"""What can happen to a desk, and how often: the feed goes on, people steer, machines fail.

Idea:   a step is a small function of the world; the table says how likely each is. A new fault is one function and one
        line of the table.
"""

import errno
from collections.abc import Callable

from tradeworthy.core.errors import RecordBusy, RecordUnwritable
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS
from tradeworthy.live.control import Scope
from tradeworthy.record.tape import TapeWriter
from tradeworthy.testing.contract import require
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS
from tradeworthy.testing.simulation.hands import scopes
from tradeworthy.testing.simulation.mortal import Killed, drawn
from tradeworthy.testing.simulation.world import World

Step = Callable[[World], str]

NOBODY = 0x0123456789ABCDEF
"""A version that nobody made."""


def feed(world: World) -> str:
    """Deliver a few events."""
    count = int(world.rng.integers(1, 40))
    world.deliver(count)
    return f"fed up to {world.place}"


def look_up(world: World) -> str:
    """Let the engine look up between events."""
    with world.surviving():
        world.engine.look_up()
    return "looked up"


def halt(world: World) -> str:
    """Halt some scope."""
    scope = drawn(world.rng, *scopes(world.cast.numbers))
    world.hands.halt(scope)
    return f"halted {tuple(scope)}"


def resume(world: World) -> str:
    """Lift a halt of some scope, or all of them."""
    halted = sorted(world.control.view().scopes)
    for scope in halted if world.rng.random() < 0.7 else [Scope.everything()]:
        world.hands.halt(scope, lift=True)
    return f"resumed {[tuple(scope) for scope in halted]}"


def role(world: World) -> str:
    """Give some version some role; in worlds that have them a champion may be a canary of one instrument."""
    number, name = drawn(world.rng, *world.cast.numbers), drawn(world.rng, "champion", "champion", "shadow", "retired")
    if world.has_canaries and name == "champion" and world.rng.random() < 0.6:
        instrument = int(world.rng.integers(len(INSTRUMENTS)))
        world.hands.canary(number, instrument)
        return f"{number:016x} becomes canary on {INSTRUMENTS[instrument].symbol}"
    world.hands.role(number, name)
    return f"{number:016x} becomes {name}"


def stranger(world: World) -> str:
    """Ask for a version that does not exist."""
    world.hands.role(NOBODY, drawn(world.rng, "champion", "shadow"))
    return "an unknown version was asked for"


def roll_back(world: World) -> str:
    """Put the previous champion back."""
    world.hands.roll_back()
    return "rolled back"


def cut_admin(world: World) -> str:
    """Kill the admin process in its next step, between the fact and the word or after both."""
    if world.ledger is not None:
        world.admin.cut = drawn(world.rng, "before", "after")
    return f"admin dies next time {world.admin.cut or 'never'}"


def limits(world: World) -> str:
    """Change the desk's limits."""
    world.limits = drawn(world.rng, LIMITS, Limits(order_value_max=900.0), Limits(position_value_max=1_500.0), Limits())
    world.control.limits_changed()
    return "limits changed"


def clock_jump(world: World) -> str:
    """Set the wall clock ahead or back."""
    by_ns = drawn(world.rng, NS_PER_HOUR, -NS_PER_HOUR, -NS_PER_DAY, 5 * NS_PER_MS)
    world.clock.jump(by_ns)
    return f"wall clock jumps by {by_ns}"


def pause(world: World) -> str:
    """Let time pass without events."""
    world.clock.advance_to(world.clock.monotonic_ns() + int(world.rng.integers(NS_PER_HOUR)))
    return "time passes"


def kill_soon(world: World) -> str:
    """Kill the engine at an operation of the disk that is still to come."""
    operations, half = int(world.rng.integers(40)), bool(world.rng.random() < 0.5)
    world.disk.kill_after(operations, half=half)
    return f"dies after {operations} operations, half {half}"


def kill_now(world: World) -> str:
    """Kill the engine between two events."""
    world.die("rest")
    return "came back"


def restart(world: World) -> str:
    """Stop the engine in good order, as far as the disk lets it, and start it again."""
    try:
        world.engine.close()
        world.tape.close()
    except Killed:
        world.die(world.disk.died_at)
        return "died while stopping"
    except RecordUnwritable as failure:  # nobody trades any more: there is nothing to halt
        world.say(f"stopped badly: {str(failure)[-60:]}")
    world.bury()
    world.start()
    return "restarted"


def disk_error(world: World) -> str:
    """Let an operation of the disk fail soon, for good."""
    operation = drawn(world.rng, "pwrite", "pwrite", "fdatasync", "preallocate", "open", "sync_folder")
    error = drawn(world.rng, errno.EIO, errno.ENOSPC, errno.EMFILE)
    world.disk.fail(operation, error, after=int(world.rng.integers(20)))
    return f"{operation} will fail with {errno.errorcode[error]}"


def full_disk(world: World) -> str:
    """Leave no room for a further segment."""
    world.disk.space = int(world.rng.integers(20_000))
    return f"{world.disk.space} bytes are left"


def short_writes(world: World) -> str:
    """Let no write take more than a few bytes at once."""
    world.disk.write_max = drawn(world.rng, 1_000, 4_096, None)
    return f"writes take {world.disk.write_max} bytes"


def power_cut(world: World) -> str:
    """Cut the power, in worlds that promise to survive it."""
    if world.has_power_cuts:
        world.cut_power()
    return "power is back"


def second_engine(world: World) -> str:
    """Try to open the tape a second time; it must be refused."""
    try:
        TapeWriter.open(world.folder / "tape", clock=world.clock)
    except RecordBusy:
        return "a second writer was refused"
    require(kept=False, promise="a second writer is refused while the first lives")
    return ""


def usurper(world: World) -> str:
    """Take the lock away, as a broken network disk may: the newer engine wins, the older one finds out."""
    old_tape, old_engine = world.tape, world.engine
    if world.disk.failing or old_tape.failure is not None:
        return "no usurper on a failing disk"
    (world.folder / "tape" / "lock").unlink()
    world.start()
    try:
        old_engine.look_up()
    except RecordBusy:
        pass
    else:
        require(kept=False, promise="an older engine hears of a newer one when it looks up")
    sent = len(world.sent)
    try:
        old_engine.consume(world.stamped(world.feed[:5]))
    except RecordUnwritable:
        old_tape.close()
    require(len(world.sent) == sent, "a fenced engine sends nothing")
    return "an older engine was fenced"


def watch(world: World) -> str:
    """Let the watcher read, save, or die."""
    if world.watcher is None:
        return "nobody watches"
    action = drawn(world.rng, "poll", "poll", "save", "die")
    if action == "poll":
        world.watcher.poll(world.rng)
    elif action == "save":
        world.watcher.save()
    else:
        world.watcher.die()
    return f"watcher: {action}"


TABLE: dict[Step, float] = {
    feed: 10.0,
    look_up: 1.0,
    halt: 0.5,
    resume: 1.5,
    role: 1.0,
    stranger: 0.1,
    roll_back: 0.3,
    cut_admin: 0.2,
    limits: 0.2,
    clock_jump: 0.2,
    pause: 0.2,
    kill_soon: 0.6,
    kill_now: 0.2,
    restart: 0.1,
    disk_error: 0.2,
    full_disk: 0.1,
    short_writes: 0.2,
    power_cut: 0.8,
    second_engine: 0.02,
    usurper: 0.05,
    watch: 1.0,
}
