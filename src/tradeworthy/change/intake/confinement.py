"""Taking away from this process what a hostile file could use: network, files, other processes, memory, time.

Idea:   several layers, each by the kernel, each for good: no process can take back what it gave up. A filter of system
        calls refuses network, new processes, and every change of a file; Landlock lets only the interpreter's own
        files be read; a network namespace of its own has no way out; limits bound memory, time and file sizes; root
        becomes nobody, or loses what makes it root. What holds is told, and whoever needs a layer asks for it.
Systems: Linux on x86-64 and arm64. The filter needs no privilege; the namespace needs root or user namespaces; Landlock
        needs Linux 5.13. Elsewhere nothing holds.
Limits: the filter names what is refused, not what is allowed, so a system call that is younger than its list would pass
        it; Landlock and the namespace stand behind it.
Reference: seccomp(2), landlock(7), unshare(2), setrlimit(2).
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MEMORY_BYTES_MAX = 4 * 1024**3
OPEN_FILES_MAX = 256
NOBODY = 65_534

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_NEW_NETWORK, _NEW_USER = 0x4000_0000, 0x1000_0000
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_ACCESS = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, list a folder
_ACCESS_BY_VERSION = (0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1)
_CAPABILITY_VERSION = 0x2008_0522
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF_0000, 0x0005_0000 | 1  # EPERM
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x4000_0000
_CLONE_3, _UNKNOWN_CALL = 435, 0x0005_0000 | 38  # ENOSYS: the C library then uses clone, whose flags can be seen
_CLONE_THREAD = 0x0001_0000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class _System(NamedTuple):
    """System-call numbers of one processor.

    Attributes
    ----------
    architecture : int
        As the kernel names it.
    refused : sequence of int
        Refused always.
    opening : mapping of int to int
        Those that open files, with the argument that holds their flags: refused where they would write.
    clone : int
        Makes threads, which libraries need, and processes, which are refused.
    """

    architecture: int
    refused: Sequence[int]
    opening: Mapping[int, int]
    clone: int


_YOUNG = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 437, 438, 440, 442, 448, 452, 463, 466)
"""Alike everywhere: pidfd, io_uring, mounts, openat2, process memory, fchmodat2, extended attributes."""

_SYSTEMS = {
    "x86_64": _System(
        0xC000_003E,
        (
            *(41, 42, 43, 44, 46, 49, 50, 53, 288, 299, 307),  # sockets
            *(57, 58, 59, 62, 101, 129, 200, 234, 297, 310, 311, 322),  # processes
            *(76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 132, 133, 188, 189, 190, 197, 198, 199),  # files
            *(235, 258, 259, 260, 261, 263, 264, 265, 266, 268, 280, 285, 316),  # files, beside a folder
            *(155, 161, 165, 166, 167, 169, 170, 171, 175, 176, 246, 272, 298, 303, 304, 308, 313, 320, 321, 323),
            *(248, 249, 250),  # the machine, keys
            *_YOUNG,
        ),
        {2: 1, 257: 2},
        56,
    ),
    "aarch64": _System(
        0xC000_00B7,
        (
            *(198, 200, 201, 199, 202, 203, 206, 211, 242, 243, 269),  # sockets
            *(117, 129, 130, 131, 138, 221, 240, 270, 271, 281),  # processes
            *(5, 6, 7, 14, 15, 16, 33, 34, 35, 36, 37, 38, 45, 46, 47, 52, 53, 54, 55, 88, 276),  # files
            *(39, 40, 41, 51, 89, 97, 104, 105, 106, 142, 161, 162, 217, 218, 219, 224, 225, 241, 264, 265, 268, 273),
            *(280, 282, 294),
            *_YOUNG,
        ),
        {56: 2},
        220,
    ),
}


class Held(NamedTuple):
    """Which layers hold in this process."""

    filter: bool
    landlock: bool
    network_namespace: bool
    unprivileged: bool


def confine(seconds_max: int, *, readable: Sequence[Path]) -> Held:
    """Give up everything but reading `readable` and writing to what is open; there is no way back.

    Parameters
    ----------
    seconds_max : int
        Processor time after which the kernel ends this process.
    readable : sequence of Path
        Files and folders that may still be read.
    """
    _limit(seconds_max)
    if sys.platform != "linux":
        return Held(filter=False, landlock=False, network_namespace=False, unprivileged=False)
    library = ctypes.CDLL(None, use_errno=True)
    namespace = _leave_network(library)
    unprivileged = _become_nobody(readable) or _drop_capabilities(library)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return Held(filter=False, landlock=False, network_namespace=namespace, unprivileged=unprivileged)
    landlock = _lock_files(library, readable)
    return Held(
        filter=_filter_calls(library), landlock=landlock, network_namespace=namespace, unprivileged=unprivileged
    )


def _limit(seconds_max: int) -> None:
    """Bound memory, time, files; no file may grow, no core is left."""
    bounds = {
        resource.RLIMIT_AS: MEMORY_BYTES_MAX,
        resource.RLIMIT_CPU: seconds_max,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES_MAX,
    }
    for kind, bound in bounds.items():
        _, hard = resource.getrlimit(kind)
        most = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (most, most))


def _leave_network(library: ctypes.CDLL) -> bool:
    """Move into a network that has nothing in it; as root, or through a user namespace."""
    if os.geteuid() == 0:
        return bool(library.unshare(_NEW_NETWORK) == 0)
    return bool(library.unshare(_NEW_USER | _NEW_NETWORK) == 0)


def _become_nobody(readable: Sequence[Path]) -> bool:
    """Drop root, where nobody can still read what is needed; anybody else has no more than his own rights."""
    if os.geteuid() != 0:
        return True
    if not all(_open_to_all(path) for path in readable):
        return False
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError:
        return False
    return True


def _drop_capabilities(library: ctypes.CDLL) -> bool:
    """Stay root by name only, where nobody could not read the interpreter: without any capability of root's."""
    header, none = struct.pack("<Ii", _CAPABILITY_VERSION, 0), struct.pack("<6I", *[0] * 6)
    return bool(library.capset(header, none) == 0)


def _open_to_all(path: Path) -> bool:
    """Tell whether everybody may pass through the folders that lead to a path."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.resolve().parents) if folder.is_dir())


def _lock_files(library: ctypes.CDLL, readable: Sequence[Path]) -> bool:
    """Allow nothing of the file system but reading some paths."""
    version = library.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    handled = struct.pack("<Q", _ACCESS_BY_VERSION[min(version, len(_ACCESS_BY_VERSION) - 1)])
    rules = library.syscall(_CREATE_RULESET, handled, len(handled), 0)
    if rules < 0:
        return False
    for path in readable:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        access = _READ_ACCESS if path.is_dir() else 1 << 2
        held = library.syscall(_ADD_RULE, rules, 1, struct.pack("<Qi", access, handle), 0) == 0
        os.close(handle)
        if not held:
            return False
    return bool(library.syscall(_RESTRICT_SELF, rules, 0) == 0)


def _filter_calls(library: ctypes.CDLL) -> bool:
    """Refuse the listed system calls from now on."""
    system = _SYSTEMS.get(platform.machine())
    if system is None:
        return False
    program = b"".join(_instructions(system))
    kept = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("first", ctypes.c_void_p))

    whole = Program(len(program) // 8, ctypes.addressof(kept))
    return bool(library.prctl(_SECCOMP, _FILTER, ctypes.byref(whole), 0, 0) == 0)


def _instructions(system: _System) -> list[bytes]:
    """Return the filter: another architecture or a listed call is refused, so is opening a file to write."""

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("<HBBI", code, yes, no, value)

    refuse = step(_RETURN, _REFUSE)
    steps = [
        step(_LOAD, _ARCHITECTURE_AT),
        step(_EQUAL, system.architecture, 1, 0),
        refuse,
        step(_LOAD, _NUMBER_AT),
        step(_AT_LEAST, _X32, 0, 1),
        refuse,
    ]
    for number in system.refused:
        steps += [step(_EQUAL, number, 0, 1), refuse]
    for number, argument in system.opening.items():
        flags = _ARGUMENTS_AT + 8 * argument
        steps += [step(_EQUAL, number, 0, 4), step(_LOAD, flags), step(_ANY_BIT, _WRITING, 0, 1), refuse]
        steps += [step(_RETURN, _ALLOW)]
    steps += [step(_EQUAL, _CLONE_3, 0, 1), step(_RETURN, _UNKNOWN_CALL)]
    steps += [step(_EQUAL, system.clone, 0, 3), step(_LOAD, _ARGUMENTS_AT), step(_ANY_BIT, _CLONE_THREAD, 1, 0), refuse]
    return [*steps, step(_RETURN, _ALLOW)]
