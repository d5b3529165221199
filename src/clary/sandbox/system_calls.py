"""A filter of system calls: no new namespaces, no kernel features that confined programs do not need, few socket families.

A classic BPF program over `struct seccomp_data` (number, architecture, instruction pointer, six arguments).
"""

from __future__ import annotations

import ctypes
import errno
import struct

from clary.sandbox import kernel

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SET_MODE_FILTER, _SPECULATION_ALLOWED = 1, 4
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_NEW_NAMESPACES = 0x7E020000
"""The flags of clone that ask for a namespace."""
_X32 = 0x40000000
"""Numbers from here on are those of a second table that x86_64 has."""
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NUMBERS = {
    "x86_64": {"clone": 56, "socket": 41},
    "aarch64": {"clone": 220, "socket": 198},
}
_DENIED = {
    # unshare, setns, add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd
    "x86_64": (272, 308, 248, 249, 250, 321, 298, 323),
    "aarch64": (97, 268, 217, 218, 219, 280, 241, 282),
}
_NOT_THERE = (435, 425)
"""clone3, whose flags a filter cannot read (the C library then uses clone), and io_uring_setup, which goes round filters."""


def available() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return kernel.IS_LINUX and kernel.MACHINE in _ARCHITECTURES


def restrict(internet: bool) -> None:
    """Filter the calls of this process and of all it will start. Needs no_new_privs. `internet`: may open IP sockets."""
    families = (_AF_UNIX, _AF_NETLINK, _AF_INET, _AF_INET6) if internet else (_AF_UNIX, _AF_NETLINK)
    code = _program(kernel.MACHINE, families)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(instructions))
    # else old kernels slow down every process with a filter, against an attack that this filter is not for
    kernel.syscall("seccomp", kernel.SYS_SECCOMP, _SET_MODE_FILTER, _SPECULATION_ALLOWED, program)


def _program(machine: str, families: tuple[int, ...]) -> bytes:
    numbers = _NUMBERS[machine]
    checks = [
        _instruction(_LOAD, _ARCHITECTURE),
        *_refuse_unless(_JUMP_EQUAL, (_ARCHITECTURES[machine],), errno.ENOSYS),
        _instruction(_LOAD, _NUMBER),
        *_refuse(_JUMP_GREATER_EQUAL, _X32, errno.ENOSYS),
        *(line for number in _NOT_THERE for line in _refuse(_JUMP_EQUAL, number, errno.ENOSYS)),
        *(line for number in _DENIED[machine] for line in _refuse(_JUMP_EQUAL, number, errno.EPERM)),
        *_when(numbers["clone"], _refuse(_JUMP_SET, _NEW_NAMESPACES, errno.EPERM)),
        *_when(numbers["socket"], _refuse_unless(_JUMP_EQUAL, families, errno.EAFNOSUPPORT)),
        _instruction(_RETURN, _ALLOW),
    ]
    return b"".join(checks)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _refuse(test: int, value: int, error: int) -> list[bytes]:
    return [_instruction(test, value, 0, 1), _instruction(_RETURN, _ERRNO | error)]


def _refuse_unless(test: int, values: tuple[int, ...], error: int) -> list[bytes]:
    last = len(values)
    tests = [_instruction(test, value, last - place) for place, value in enumerate(values)]
    return [*tests, _instruction(_RETURN, _ERRNO | error)]


def _when(number: int, checks: list[bytes]) -> list[bytes]:
    """`checks` of the first argument of call `number`; they end in an allowance, for nothing else is asked about it."""
    body = [_instruction(_LOAD, _FIRST_ARGUMENT), *checks, _instruction(_RETURN, _ALLOW)]
    return [_instruction(_JUMP_EQUAL, number, 0, len(body)), *body]
