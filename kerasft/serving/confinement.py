"""Runs a Python script without the right to write files, to reach the network or to start programs.

    python -I confinement.py SCRIPT

For a script that runs a stranger's model. What holds depends on the system, and the script finds what does not in the
environment variable KERASFT_NOT_CONFINED, in words, joined by commas. Only the standard library is imported, and only
the script's own process is confined, for good. Reading stays: TensorFlow's libraries are read from wherever they are.

Linux alone has these; elsewhere only the limits on sizes hold. Landlock: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import os
import resource
import runpy
import signal
import struct
import sys

NOT_CONFINED = "KERASFT_NOT_CONFINED"
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
# Landlock's system calls have these numbers on every architecture.
CREATE_RULESET, RESTRICT_SELF, VERSION_FLAG = 444, 446, 1
# Rights over files by the version of Landlock that came with them; those to read a file or a folder stay.
READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14}
BIND_TCP, CONNECT_TCP, TCP_SINCE = 1, 2, 4


def confine() -> list[str]:
    """Gives up the rights of this process, which must have one thread; what could not be given up, in words."""
    libc = ctypes.CDLL(None, use_errno=True)
    _limit()
    if not sys.platform.startswith("linux"):
        return ["writing files", "the network", "starting programs"]
    rights = []
    # A user namespace of its own lets a process without root have a network of its own, which is empty.
    private = CLONE_NEWNET | CLONE_NEWIPC
    alone = libc.unshare(CLONE_NEWUSER | private) == 0 or libc.unshare(private) == 0
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    version = _landlock(libc)
    if not version:
        rights += ["writing files", "starting programs"]
    if not alone:
        rights.append("the network" if version < TCP_SINCE else "the network but for TCP")
    return rights


def _limit() -> None:
    """Limits that every Unix has: no file may grow, and a crash leaves no memory image."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails instead of ending the process
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))


def _landlock(libc: ctypes.CDLL) -> int:
    """Takes all rights over files but reading, and TCP; the version of Landlock that did, 0 where there is none."""
    version = max(0, libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG))
    if not version:
        return 0
    files = sum(rights for since, rights in FILE_RIGHTS.items() if since <= version) & ~(READ_FILE | READ_DIR)
    network = BIND_TCP | CONNECT_TCP if version >= TCP_SINCE else 0
    rights = struct.pack("=QQ", files, network)[: 16 if network else 8]
    ruleset = libc.syscall(CREATE_RULESET, rights, ctypes.c_size_t(len(rights)), 0)
    if ruleset < 0:
        return 0
    restricted = libc.syscall(RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return version if restricted else 0


if __name__ == "__main__":
    os.environ[NOT_CONFINED] = ", ".join(confine())
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
