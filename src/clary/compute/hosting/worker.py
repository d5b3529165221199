"""An endpoint's worker process: one model behind one socket.

Single-threaded on purpose. While the model computes, further calls collect in the socket; when it is done, everything that
waits becomes the next batch. No timer, no queue, no lock. The process ends when its server hangs up or dies, so a worker
never outlives the server that started it.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clary.compute.hosting import archive, frames
from clary.compute.hosting.frames import Frame
from clary.compute.runner.start_method import resolve, spawn_command
from clary.core.inference import InferenceRequest, InferenceResponse, Model

MAX_BATCH = 128
_RECEIVE_BYTES = 1024 * 1024


def serve(argument: dict[str, Any]) -> None:
    """Run a worker: the target that a fork server calls.

    `argument`: `socket` (path to connect to), `token` (which worker this is), `directory` (a place of its own), `source`
    (path of model.tar.gz, or a directory that is the model, or ""), `code` (path of a source bundle, or ""), `prepare` and
    `load` ("module:function") and `environment` (what the container would see). Returns when the server has hung up.
    """
    connection = _connect(argument)
    threading.Thread(target=_exit_with_server, args=(connection,), daemon=True).start()
    try:
        os.environ.update(argument["environment"])
        if argument["prepare"] and "descriptor" not in argument:
            _prepare(connection, argument)
        model = _load(argument)
    except BaseException as error:
        traceback.print_exc()
        connection.sendall(frames.encode(0, frames.FAILED, {}, f"{type(error).__name__}: {error}".encode()))
        return
    Worker(connection, model).run()


def _connect(argument: dict[str, Any]) -> socket.socket:
    """The connection to the server: a new one, or the one that this process had before it became another Python."""
    if "descriptor" in argument:
        return socket.socket(fileno=argument["descriptor"])
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(argument["socket"])
    connection.sendall(frames.encode(0, frames.HELLO, {"token": argument["token"]}))
    return connection


def _prepare(connection: socket.socket, argument: dict[str, Any]) -> None:
    """Unpack model and source, once; then go on in the Python that the source asks for, when that is another one."""
    directory = Path(argument["directory"])
    argument["source"] = str(_model_directory(directory, argument["source"]))
    if argument["code"]:
        code = directory / "code"
        shutil.rmtree(code, ignore_errors=True)
        archive.unpack(Path(argument["code"]), code)
        argument["environment"]["SAGEMAKER_SUBMIT_DIRECTORY"] = str(code)
    python = resolve(argument["prepare"])(Path(argument["source"]), argument["environment"], directory)
    if python is None:
        return
    connection.set_inheritable(True)
    again = argument | {"descriptor": connection.fileno()}
    command = [str(python), *spawn_command("clary.compute.hosting.worker:serve", again)[1:]]
    os.environ["PATH"] = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    sys.stdout.flush()
    os.execv(python, command)


def _exit_with_server(connection: socket.socket) -> None:
    """Wait in the kernel until the server has gone, even while the model computes or hangs."""
    poll = select.poll()
    poll.register(connection, 0)
    poll.poll()
    sys.stdout.flush()
    os._exit(0)


def _load(argument: dict[str, Any]) -> Model:
    model_dir = _model_directory(Path(argument["directory"]), argument["source"])
    load: Callable[[Path, dict[str, str]], Model] = resolve(argument["load"])
    model = load(model_dir, argument["environment"])
    print(f"model loaded from {', '.join(sorted(p.name for p in model_dir.iterdir())) or 'an empty directory'}", flush=True)
    return model


def _model_directory(directory: Path, source: str) -> Path:
    """The unpacked model; what an earlier worker left there is removed first."""
    if source and Path(source).is_dir():
        return Path(source)
    model_dir = directory / "model"
    shutil.rmtree(model_dir, ignore_errors=True)
    model_dir.mkdir(parents=True)
    if source:
        archive.unpack(Path(source), model_dir)
    return model_dir


class Worker:
    """The loop: take what waits, answer it."""

    def __init__(self, connection: socket.socket, model: Model) -> None:
        self._connection = connection
        self._model = model
        self._reader = frames.FrameReader()
        self._received = bytearray(_RECEIVE_BYTES)

    def run(self) -> None:
        stop_read, stop_write = os.pipe()
        signal.signal(signal.SIGTERM, lambda *_: os.write(stop_write, b"\0"))
        self._connection.sendall(frames.encode(0, frames.READY, {}))
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(stop_read, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == stop_read:
                    poll.unregister(stop_read)
                    self._connection.sendall(frames.encode(0, frames.DRAINING, {}))
                elif not self._answer_what_waits():
                    return

    def _answer_what_waits(self) -> bool:
        """Answer everything in the socket's buffer; False when the server has hung up."""
        size = self._connection.recv_into(self._received)
        waiting = self._reader.feed(memoryview(self._received)[:size])
        calls = [frame for frame in waiting if frame.code == frames.CALL]
        for frame in waiting:
            if frame.code != frames.CALL:
                self._connection.sendall(self._answer_question(frame))
        for start in range(0, len(calls), MAX_BATCH):
            self._answer_calls(calls[start : start + MAX_BATCH])
        return size > 0

    def _answer_question(self, frame: Frame) -> bytes:
        if frame.code == frames.PING:
            return frames.encode(frame.id, 200, {})
        if frame.code == frames.PARAMETERS:
            return frames.encode(frame.id, 200, {}, json.dumps(self._model.execution_parameters()).encode())
        return frames.encode(frame.id, 400, {}, f"code {frame.code} means nothing here".encode())

    def _answer_calls(self, calls: list[Frame]) -> None:
        responses = _invoke(self._model, [_request(frame) for frame in calls])
        answers = [_answer(frame.id, response) for frame, response in zip(calls, responses, strict=True)]
        self._connection.sendall(b"".join(answers))


def _request(frame: Frame) -> InferenceRequest:
    headers = frame.headers
    return InferenceRequest(frame.body, headers.get("content-type", ""), headers.get("accept", ""), headers)


def _answer(id: int, response: InferenceResponse) -> bytes:
    if response.status >= 300:
        print(f"answered {response.status}: {response.body[:1000].decode(errors='replace')}", flush=True)
    headers = {**response.headers, "content-type": response.content_type} if response.content_type else response.headers
    return frames.encode(id, response.status, headers, response.body)


def _invoke(model: Model, requests: list[InferenceRequest]) -> list[InferenceResponse]:
    """The model's answers; when it fails on a batch, each request is tried alone so that only the guilty one pays."""
    try:
        responses = model.invoke(requests)
        if len(responses) != len(requests):
            raise RuntimeError(f"the model gave {len(responses)} answers to {len(requests)} requests")
    except Exception as error:
        if len(requests) > 1:
            return [_invoke(model, [request])[0] for request in requests]
        traceback.print_exc()
        return [InferenceResponse(f"{type(error).__name__}: {error}".encode(), "text/plain", 500)]
    return responses
