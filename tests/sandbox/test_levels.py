"""Confinement on kernels that have less: a filter of system calls takes from this one what they lack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clary.sandbox import Profile, SandboxUnavailable, check, kernel, landlock, level, system_calls

_UNSHARE, _LANDLOCK = {"x86_64": 272, "aarch64": 97}.get(kernel.MACHINE, 0), kernel.SYS_LANDLOCK_CREATE_RULESET
_WITHOUT = """
import errno, json, os, signal, socket, sys
from pathlib import Path
from clary.sandbox import Profile, SandboxUnavailable, confine, environment, kernel, landlock, level, place, system_calls

ours = system_calls._DENIED[kernel.MACHINE]
system_calls._DENIED[kernel.MACHINE] = {missing}
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
system_calls.restrict(True)
system_calls._DENIED[kernel.MACHINE] = ours
root = Path(sys.argv[1])
profile = Profile({{"/opt/ml": root / "ml", "/tmp": root / "tmp"}}, {{}}, root, **json.loads(sys.argv[2]))

def attempt(action):
    try:
        return str(action())
    except (OSError, SandboxUnavailable) as error:
        return f"{{type(error).__name__}}: {{error}}"

parent = os.getppid()
found = {{"level": level().name, "gaps": list(level().gaps), "warning": level().warning}}
found["confined"] = attempt(lambda: confine(profile))
found |= {{
    "secret": attempt(lambda: (root / "secret").read_text()),
    "own": attempt(lambda: (place(profile, "/opt/ml") / "x").write_text("x")),
    "library": attempt(lambda: len(Path(json.__file__).read_text()) > 0),
    "signal": attempt(lambda: os.kill(parent, 0)),
    "socket": attempt(lambda: socket.socket().close()),
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0],
}}
print(json.dumps(found))
"""

pytestmark = pytest.mark.skipif(not system_calls.available(), reason="needs Linux on x86_64 or aarch64")


def confined(directory: Path, missing: list[int], **profile: Any) -> dict[str, Any]:
    """What a process finds, of a kernel without the calls `missing`, before and after it confines itself."""
    for name in ("ml", "tmp"):
        (directory / name).mkdir()
    (directory / "secret").write_text("secret")
    program = _WITHOUT.format(missing=tuple(missing))
    arguments = [sys.executable, "-c", program, str(directory), json.dumps(profile)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not landlock.version(), reason="needs Landlock")
def test_without_namespaces_landlock_keeps_files_apart(tmp_path: Path) -> None:
    found = confined(tmp_path, [_UNSHARE])
    assert (found["level"], found["confined"]) == ("partial", "None")
    assert "connect to Unix sockets of the server's user" in found["warning"]
    assert found["secret"].startswith("PermissionError")
    assert (found["own"], found["library"]) == ("1", "True")
    assert int(found["capabilities"], 16) == 0
    if landlock.version() >= 6:
        assert found["signal"].startswith("PermissionError")
    else:
        assert "signal other processes of the server's user" in found["gaps"]


def test_with_neither_a_program_runs_and_is_told(tmp_path: Path) -> None:
    found = confined(tmp_path, [_UNSHARE, _LANDLOCK])
    assert (found["level"], found["confined"]) == ("none", "None")
    assert "read and write whatever the server's user can" in found["warning"]
    assert int(found["capabilities"], 16) == 0


def test_a_server_that_requires_full_confinement_refuses_less(tmp_path: Path) -> None:
    found = confined(tmp_path, [_UNSHARE], demand="required")
    assert found["confined"].startswith('SandboxUnavailable: the setting sandbox = "required" forbids it to run here')


def test_without_namespaces_isolation_leaves_no_ip_socket(tmp_path: Path) -> None:
    assert confined(tmp_path, [_UNSHARE], internet=False)["socket"].startswith("OSError")


def test_isolation_is_refused_where_nothing_is_confined(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="EnableNetworkIsolation cannot be enforced"):
        check(Profile({"/tmp": tmp_path}, {}, tmp_path, internet=False, demand="off"))


def test_a_profile_survives_json(tmp_path: Path) -> None:
    profile = Profile({"/tmp": tmp_path}, {"/data": tmp_path / "x"}, tmp_path, internet=False, demand="required")
    assert Profile.parse(json.loads(json.dumps(profile.document()))) == profile


def test_the_level_says_what_it_lacks() -> None:
    assert (level().name == "full") == (level().gaps == ()) == (level().warning == "")
