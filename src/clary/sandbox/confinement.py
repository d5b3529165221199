"""Confining this process to a profile, as far as this machine can, and where its directories are from then on."""

from __future__ import annotations

import os
import site
import tempfile
from pathlib import Path

from clary.sandbox import kernel, namespaces, privileges, system_calls
from clary.sandbox.level import level
from clary.sandbox.profile import Profile, devices, system_files


class SandboxUnavailable(Exception):
    """The program cannot be confined as it must be, so it does not run. The message says what is missing, and who asked."""


def place(profile: Profile, name: str) -> Path:
    """Where a confined program finds what the profile calls `name`: there, or in the directory itself without namespaces."""
    if profile.demand != "off" and level().namespaces:
        return Path(name)
    return (profile.write | profile.read)[name]


def notice(profile: Profile) -> str:
    """A line for the program's log when it is confined less than fully; empty otherwise."""
    return "sandbox: off: this program can do whatever the server's user can" if profile.demand == "off" else level().warning


def owner(profile: Profile) -> int | None:
    """The user id that the program will have, when that is another than this process's."""
    return level().owner if profile.demand != "off" else None


def environment(profile: Profile) -> dict[str, str]:
    """Variables that lead a program's temporary and personal files to its own `/tmp`."""
    own = str(place(profile, "/tmp"))
    packages = {"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}
    return {"TMPDIR": own, "HOME": own} | packages


def give(profile: Profile) -> None:
    """Make the program's own directories and let it own what is in them, where it will be another user than this process."""
    for directory in profile.write.values():
        directory.mkdir(parents=True, exist_ok=True)
        if (user := owner(profile)) is not None:
            os.chown(directory, user, user)
            for folder, names, files in os.walk(directory):
                for name in (*names, *files):
                    os.chown(os.path.join(folder, name), user, user, follow_symlinks=False)


def confine(profile: Profile) -> None:
    """Give up, for good, everything but what `profile` names. For a process with one thread.

    Raises `SandboxUnavailable` when this machine cannot, and `profile` asks for it, or the kernel refuses unexpectedly.
    """
    check(profile)
    if profile.demand == "off":
        return
    try:
        if level().namespaces:
            namespaces.enter(profile)
        elif kernel.IS_LINUX:
            _stay_here(profile)
    except OSError as error:
        raise SandboxUnavailable(f"the sandbox of this program could not be set up: {error}") from error
    tempfile.tempdir = None  # found again, below TMPDIR
    os.umask(0o022)  # as in a container; the server's own is stricter
    os.chdir(place(profile, "/tmp"))


def isolate(profile: Profile) -> None:
    """Leave the network, when the program may not use it: for what comes before `confine`. Raises as that does."""
    check(profile)
    if profile.internet:
        return
    try:
        if level().namespaces:
            namespaces.leave_network()
        else:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            system_calls.restrict(internet=False)
    except OSError as error:
        raise SandboxUnavailable(f"this program could not be isolated from the network: {error}") from error


def check(profile: Profile) -> None:
    """Raises `SandboxUnavailable` when `profile` asks for more than this machine or the server's setting lets be enforced."""
    if profile.demand == "required" and (warning := level().warning):
        raise SandboxUnavailable(f'the setting sandbox = "required" forbids it to run here; {warning}')
    if not profile.internet and (profile.demand == "off" or not (level().namespaces or system_calls.available())):
        raise SandboxUnavailable(
            'EnableNetworkIsolation cannot be enforced: it needs Linux, and a setting of sandbox other than "off"'
        )


def _stay_here(profile: Profile) -> None:
    """Without namespaces: the same files by the same names, as far as Landlock is there to say so."""
    own = [str(path) for path in profile.write.values()]
    files = [*system_files(profile.hidden), *map(str, profile.read.values()), "/proc", "/sys"]
    privileges.drop(files, [*own, *(f"/dev/{name}" for name in (*devices(), "shm", "pts", "ptmx"))], profile.internet)
