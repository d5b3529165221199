"""The server process: claim the data directory, open storage, listen, run the control loops, stop gracefully.

    python -m clary.gateway.server --data DIR --port 0

Every setting of `core.config.Config` is an option of the same name.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import ipaddress
import logging
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from clary.core.addresses import bracketed
from clary.core.clock import Clock
from clary.core.config import Config, load
from clary.core.service import Platform
from clary.gateway.app import Gateway
from clary.gateway.control_loops import ControlLoops
from clary.gateway.corked import CorkedProtocol
from clary.gateway.data_directory import DataDirectory, DataDirectoryError
from clary.gateway.reset import Reset
from clary.services.iam.rows import CHANGED as IAM_CHANGED
from clary.storage.resources import NewerFormat, ResourceStore

log = logging.getLogger("clary.server")

KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time of common client pools, so that the client is the one that closes."""
FAILED, MISUSED = 1, 2
"""Exit statuses: the server could not do it; what was asked for cannot be meant."""
GRACE_SECONDS = 15
"""How long a graceful stop waits for requests in flight."""


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to `serve`, and ends idle connections itself.

    uvicorn closes them in TLS's polite way, which waits half a minute for clients that only keep a pool of connections.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        deadline = time.monotonic() + GRACE_SECONDS
        while self.server_state.connections and time.monotonic() < deadline:
            for connection in list(self.server_state.connections):
                connection.shutdown()
                if _is_idle(connection):
                    connection.transport.abort()
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)


def _is_idle(connection: Any) -> bool:
    """Whether no request is in progress and every answer has been handed to the kernel."""
    answered = connection.cycle is None or connection.cycle.response_complete
    return answered and connection.transport.get_write_buffer_size() == 0


def serve(config: Config, ready: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Run a server until SIGTERM or SIGINT. `ready(facts)` is called when it listens, with the contents of `server.json`.

    Raises `DataDirectoryError` when the directory is taken and `ValueError` when the configuration would be unsafe.
    """
    check_address(config)
    os.umask(0o077)  # for its owner only, whatever is written, also where the directory is open to others
    directory = DataDirectory(config.data)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, directory, ready))
    finally:
        directory.release()


def check_address(config: Config) -> None:
    """`open` believes every caller, so it may only listen where nobody but this machine can call. Raises `ValueError`."""
    if config.auth == "open" and not all(address.is_loopback for address in _addresses(config.host)):
        raise ValueError(
            f"auth 'open' is refused on {config.host}, which other machines can reach; "
            "use --auth strict, or a loopback address such as 127.0.0.1"
        )


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(address[0]).split("%")[0]) for *_, address in found]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(config: Config, directory: DataDirectory, ready: Callable[[dict[str, Any]], None] | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loops = ControlLoops()
    async with open_platform(config, loops.wake) as platform:
        gateway = Gateway(platform)
        loops.on(IAM_CHANGED, gateway.forget_identities)
        if config.allow_reset:
            gateway.mount_reset(Reset(platform, loops, gateway.forget_everything).run)
        _show_root_key(await gateway.open())
        listeners, facts = await _listen(config, gateway)
        directory.announce(facts | {"token": gateway.administration.token})
        (ready or _show_address)(facts)
        loops.start(platform)
        await stop.wait()
        await _stop_listening(listeners)
        await loops.stop()
        if (fork_servers := platform.extensions.get("fork_servers")) is not None:
            fork_servers.close()


@contextlib.asynccontextmanager
async def open_platform(config: Config, wake: Callable[[str], None] = lambda topic: None) -> AsyncIterator[Platform]:
    """The storage of a data directory, opened; its `call` raises until a gateway connects it."""
    from clary.storage.blobs import BlobStore
    from clary.storage.journal import Journal

    resources = _open_rows(config, wake)
    journal = Journal.open(config.data / "journal", durability=config.durability)
    blobs = BlobStore(config.data / "blobs", durability=config.durability)
    try:
        yield Platform(config, Clock(), resources, blobs, journal, call=_not_connected, wake=wake)
    finally:
        await journal.close()
        await resources.close()
        blobs.close()


def _open_rows(config: Config, wake: Callable[[str], None]) -> ResourceStore:
    """Raises `DataDirectoryError` for a database that this version cannot read, or nobody."""
    file = config.data / "resources.db"
    try:
        return ResourceStore.open(file, durability=config.durability, wake=wake)
    except NewerFormat as error:
        raise DataDirectoryError(str(error)) from None
    except sqlite3.DatabaseError as error:
        raise DataDirectoryError(f"{file} cannot be opened ({error}); start from a backup if it is damaged") from None


def _show_address(facts: dict[str, Any]) -> None:
    print(f"Clary is listening on http://{bracketed(facts['host'])}:{facts['port']}", flush=True)


def _show_root_key(root_key: tuple[str, str] | None) -> None:
    if root_key is not None:
        print("This server's root key; it is shown this once:")
        print(f"AWS_ACCESS_KEY_ID={root_key[0]}\nAWS_SECRET_ACCESS_KEY={root_key[1]}", flush=True)


async def _not_connected(*_: object, **__: object) -> dict[str, Any]:
    raise RuntimeError("the gateway connects Platform.call when it opens")


async def _listen(config: Config, gateway: Gateway) -> tuple[list[tuple[Listener, asyncio.Task]], dict[str, Any]]:
    """Start the HTTP listener and, with `tls`, the HTTPS one beside it; returns them and the facts for `server.json`."""
    plain = _bind(config.host, config.port)
    listeners = [await _start(gateway, plain)]
    tls_port = None
    if config.tls:
        from clary.gateway import certificates

        secure = _bind(config.host, config.tls_port)
        tls_port = secure.getsockname()[1]
        files = certificates.ensure(config.data / "tls", (config.host, *config.hosts))
        listeners.append(await _start(gateway, secure, ssl_certfile=files.certificate, ssl_keyfile=files.key))
    return listeners, {
        "pid": os.getpid(),
        "port": plain.getsockname()[1],
        "tls_port": tls_port,
        "host": config.host,
        "auth": config.auth,
        "started": time.time(),
    }


def _bind(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port, or stop what uses it"
        ) from error
    return bound


async def _start(gateway: Gateway, bound: socket.socket, **tls: Any) -> tuple[Listener, asyncio.Task]:
    settings = uvicorn.Config(
        gateway,
        http=CorkedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=1024,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,  # after the grace of Listener.shutdown
        **tls,
    )
    listener = Listener(settings)
    task = asyncio.create_task(listener.serve([bound]))
    while not listener.started:
        if task.done():
            task.result()
        await asyncio.sleep(0)
    return listener, task


async def _stop_listening(listeners: list[tuple[Listener, asyncio.Task]]) -> None:
    for listener, _ in listeners:
        listener.should_exit = True
    await asyncio.gather(*(task for _, task in listeners))


def main(arguments: list[str] | None = None) -> int:
    """The command line of the server process. Returns the exit status."""
    options = vars(_parser().parse_args(arguments))
    file = options.pop("config")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("clary").setLevel(logging.INFO)
    try:
        data = Path(options["data"] or Config().data).expanduser()
        serve(load(file or data / "clary.toml", **options))
    except (DataDirectoryError, ValueError, OSError) as error:
        print(f"clary: {error}", file=sys.stderr)
        return MISUSED if isinstance(error, ValueError) else FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m clary.gateway.server", description=__doc__)
    add_options(parser, [setting.name for setting in dataclasses.fields(Config)])
    return parser


def add_options(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """`--config FILE`, and an option for each of these settings."""
    parser.add_argument("--config", type=Path, help="a TOML file; default clary.toml in the data directory")
    for setting in dataclasses.fields(Config):
        if setting.name not in names:
            continue
        option = f"--{setting.name.replace('_', '-')}"
        kind = str(setting.type)
        if kind == "bool":
            parser.add_argument(option, action=argparse.BooleanOptionalAction)
        elif kind.startswith("tuple"):
            parser.add_argument(option, nargs="+", action="extend")
        elif not kind.startswith("dict"):
            parser.add_argument(option, type={"int": int, "float": float, "Path": Path}.get(kind, str))


if __name__ == "__main__":
    sys.exit(main())
