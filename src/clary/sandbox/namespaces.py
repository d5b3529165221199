"""A program in namespaces of its own: it sees no process but those it starts, and no file but those in its room.

Three processes: the one that calls `enter` stays outside and takes the program's end for its own, so that whoever started it
need not know; `init`, the first in the new PID namespace, waits for whatever ends there; the program is init's child.
When any of them is killed, all of them are gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import sys
from typing import NoReturn

from clary.sandbox import kernel, privileges, room
from clary.sandbox.profile import Profile

_SPACES = kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_FAILED, _BEGUN = b"!", b"+"
_MOST_DESCRIPTORS = 1024


def enter(profile: Profile) -> None:
    """Go on in the program, confined. For a process with one thread. Raises `OSError` in the caller when the kernel refuses."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # two copies of what is in there stay behind
    become = privileges.owner()
    spaces = _SPACES | (0 if become else kernel.CLONE_NEWUSER) | (0 if profile.internet else kernel.CLONE_NEWNET)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(spaces)
    if not become:
        _keep_identity(user, group)
    report, reporting = os.pipe()
    if (init := os.fork()) != 0:
        os.close(reporting)
        _stay_outside(init, report, before)
    os.close(report)
    try:
        _die_with_the_one_outside(reporting)
        kernel.unshare(kernel.CLONE_NEWNS)  # here, so that the one outside goes on seeing what there is
        room.enter(profile)
        if not profile.internet:
            _turn_on_loopback()
        privileges.drop(["/"], [*profile.write, "/dev"], internet=True, become=become)
        _die_with_the_one_outside(reporting)  # a change of user cancels it
        program = os.fork()
    except OSError as error:
        os.write(reporting, _FAILED + str(error).encode())
        os._exit(1)
    if program != 0:
        _be_init(program, reporting)
    os.close(reporting)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_network() -> None:
    """Go on, unconfined otherwise, in a network namespace that has no interface but one that is off."""
    user, group = os.geteuid(), os.getegid()
    with_user = 0 if privileges.owner() else kernel.CLONE_NEWUSER
    kernel.unshare(kernel.CLONE_NEWNET | with_user)
    if with_user:
        _keep_identity(user, group)


def _keep_identity(user: int, group: int) -> None:
    """The user is in the new namespace who it was outside, and can become nobody else."""
    for file, content in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{file}", "w") as to:
            to.write(content)


def _stay_outside(init: int, report: int, mask: set[signal.Signals] | set[int]) -> None:
    """End as the program ends; every signal but SIGKILL is the program's, not ours."""
    if os.read(report, 1) == _FAILED:
        why = os.read(report, 4096).decode()
        os.waitpid(init, 0)
        os.close(report)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise OSError(why)
    os.closerange(3, report)  # pipes and sockets of the program, whose other ends wait for its end
    os.closerange(report + 1, report + _MOST_DESCRIPTORS)
    code = int(os.read(report, 16) or -signal.SIGKILL)
    os.waitpid(init, 0)
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to set back
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
        os.kill(os.getpid(), -code)
    os._exit(code)


def _die_with_the_one_outside(reporting: int) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    watch = select.poll()
    watch.register(reporting, 0)
    if watch.poll(0):  # nobody reads: it died before it could be watched
        os._exit(1)


def _be_init(program: int, reporting: int) -> NoReturn:
    os.closerange(3, reporting)
    os.closerange(reporting + 1, reporting + _MOST_DESCRIPTORS)
    os.write(reporting, _BEGUN)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == program:
            os.write(reporting, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)


def _turn_on_loopback() -> None:
    """The one interface of the new network namespace, so that the program's own processes can talk to each other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        (flags,) = struct.unpack_from("H", asked, 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
