"""Which Host and Origin are ours, so that a web page cannot drive the server (DNS rebinding, form posts).

Names that are not foreign: loopback addresses, `localhost`, `*.localhost`, the address the server listens on, configured
names, and AWS's own service host names (clients that ignore an endpoint setting are led here under those). For `Origin` the
AWS names are only the services' endpoints, not the hosts that serve customers' pages under amazonaws.com (S3 sites,
load balancers, ...), unless the page was loaded from this very host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from clary.core.config import Config
from clary.core.errors import ServiceError
from clary.gateway.wire.directory import BY_HOST

_AWS = re.compile(r"(.+)\.amazonaws\.com(\.cn)?")
_HOST = re.compile(r"(?:([a-z0-9._-]+)|\[([0-9a-f:.]+)\])(?::\d{1,5})?")
_REGION = re.compile(r"\.[a-z]{2}(-[a-z]+)+-\d")


class ForeignCaller(ServiceError):
    code = "AccessDenied"
    status = 403


class Origins:
    """The names that a server with this configuration answers to."""

    def __init__(self, config: Config):
        self._listens_to_others = not _is_loopback(config.host)
        self._names = frozenset(name.lower() for name in (config.host, *config.hosts))
        self._accepts_host = lru_cache(maxsize=1024)(self._host_is_ours)

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises `ForeignCaller`."""
        host = headers.get("host", "")
        if not self._accepts_host(host):
            raise ForeignCaller(
                f"the host name {host!r} is not one of this server's; use localhost, or list the name under `hosts` "
                "in the configuration (--hosts NAME)"
            )
        if (origin := headers.get("origin")) is not None and not self._origin_is_ours(origin, host):
            raise ForeignCaller(f"requests from pages of {origin!r} are refused; list its name under `hosts` to allow it")
        if headers.get("sec-fetch-site") == "cross-site":
            raise ForeignCaller("requests that another site's page makes are refused")

    def _host_is_ours(self, host: str) -> bool:
        name = name_of(host)
        return self._is_local(name) or _AWS.fullmatch(name) is not None

    def _origin_is_ours(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        name = name_of(parts.netloc)
        return self._is_local(name) or name == name_of(host) or is_service_endpoint(name)

    def _is_local(self, name: str) -> bool:
        if name in self._names or name == "localhost" or name.endswith(".localhost"):
            return True
        if any(name.endswith(pattern[1:]) for pattern in self._names if pattern.startswith("*.")):
            return True
        return _is_address(name) and (_is_loopback(name) or self._listens_to_others)


def name_of(host: str) -> str:
    """The name in a Host header: lower-case, without port and brackets; empty when it is none."""
    match = _HOST.fullmatch(host.lower())
    return (match[1] or match[2]).rstrip(".") if match else ""


def is_service_endpoint(name: str) -> bool:
    """Whether `name` is an AWS API endpoint, such as `sts.us-east-1.amazonaws.com`, and not a page's host."""
    match = _AWS.fullmatch(name)
    if match is None:
        return False
    label = _REGION.sub("", match[1])
    return label in BY_HOST and BY_HOST[label].signing != "s3"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_address(name) and ipaddress.ip_address(name).is_loopback)
