"""Least privilege for programs that a server starts: `confine(profile)`, called in the new process before it runs them."""

from clary.sandbox.confinement import SandboxUnavailable, check, confine, environment, give, isolate, notice, owner, place
from clary.sandbox.level import Level, level
from clary.sandbox.profile import Profile

__all__ = [
    "Level",
    "Profile",
    "SandboxUnavailable",
    "check",
    "confine",
    "environment",
    "give",
    "isolate",
    "level",
    "notice",
    "owner",
    "place",
]
