"""The inference toolkit: loads the user's module, and answers requests with its functions and the framework's defaults."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clary.compute.runner.start_method import resolve
from clary.compute.toolkit import encoding, in_process, layers
from clary.compute.toolkit.environments import Environments
from clary.compute.toolkit.errors import CommandFailed
from clary.compute.toolkit.handlers import Defaults
from clary.compute.toolkit.plan import VARIABLE, Plan
from clary.core.inference import InferenceRequest, InferenceResponse

_FUNCTIONS = ("input_fn", "predict_fn", "output_fn")
_DEFAULT_ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
PROGRAM, SUBMIT_DIRECTORY = "SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"


def prepare(model_dir: Path, environment: Mapping[str, str], place: Path) -> Path | None:
    """The Python that has what the model's source asks for, made below `place`; None when this process has it.

    Prints which version of the framework serves. Raises `CommandFailed` when pip fails.
    """
    plan = Plan.parse(json.loads(environment[VARIABLE]))
    choice = plan.choice
    assert choice is not None, "the server sees to it before it starts a worker"
    print(f"Clary: {plan.declared.distributions[0]} {choice.version} serves {plan.image}", flush=True)
    source = source_directory(model_dir, environment)
    found = None
    if (source / "requirements.txt").is_file():
        environments = Environments(Path(plan.environments))
        found = environments.with_requirements(choice, source, ["-r", "requirements.txt"], lambda pip: _install(pip, source))
    if choice.is_own and not found:
        return None
    return layers.make(place / "python", [*([found] if found else []), *choice.layers], choice.interpreter)


def _install(pip: Sequence[str], source: Path) -> None:
    done = subprocess.run(pip, cwd=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    print(done.stdout, end="", flush=True)
    if done.returncode:
        raise CommandFailed("InstallRequirementsError", done.returncode, done.stdout.splitlines()[-20:], ["pip", *pip[3:]])


def source_directory(model_dir: Path, environment: Mapping[str, str]) -> Path:
    """Where the user's module is: the directory that the source was unpacked to, or `code` beside the model."""
    given = environment.get(SUBMIT_DIRECTORY, "")
    inside = f"{model_dir}/code" if not given or given.startswith("/opt/ml/") else given
    return Path(inside)


def load(model_dir: Path, environment: Mapping[str, str]) -> ServedModel:
    """The model, loaded. Raises whatever the user's module raises, `ValueError` when it cannot be what it is meant to be."""
    plan = Plan.parse(json.loads(environment[VARIABLE]))
    os.environ.pop(VARIABLE, None)
    in_process.make_lines_visible()
    in_process.use_all_processors()
    os.environ |= {"SM_MODEL_DIR": str(model_dir)}
    module = _user_module(source_directory(model_dir, environment), environment.get(PROGRAM, ""))
    return ServedModel(module, resolve(plan.declared.handlers)(), model_dir, environment)


def _user_module(source: Path, program: str) -> Any:
    """The user's module, None when there is none and none was named."""
    path = source / (program or "inference.py")
    if not path.is_file():
        if program and not program.startswith("inference"):
            raise ValueError(f"{PROGRAM} {program!r} is not in the source, which holds {_names(source)}")
        return None
    sys.path[0:0] = [str(path.parent), str(source)]
    return importlib.import_module(path.name.removesuffix(".py"))


def _names(source: Path) -> str:
    return ", ".join(sorted(path.name for path in source.iterdir())[:20]) if source.is_dir() else "nothing"


class Context:
    """What a function that takes one more argument is given."""

    def __init__(self, model_dir: Path):
        self.system_properties = {"model_dir": str(model_dir), "gpu_id": None, "batch_size": 1}
        self.headers: Mapping[str, str] = {}
        self.accept_header = ""
        self.request_content_type = ""
        self.custom_attributes = ""

    def get_request_header(self, index: int, name: str) -> str | None:
        return self.headers.get(name.lower())

    def get_all_request_header(self, index: int) -> Mapping[str, str]:
        return self.headers


class ServedModel:
    """A `core.inference.Model` of the user's functions."""

    def __init__(self, module: Any, defaults: Defaults, model_dir: Path, environment: Mapping[str, str]):
        self._context = Context(model_dir)
        self._accept = environment.get(_DEFAULT_ACCEPT) or encoding.JSON
        self._functions = {name: getattr(module, name, None) or getattr(defaults, name) for name in _FUNCTIONS}
        self._transform: Callable[..., Any] | None = getattr(module, "transform_fn", None)
        own = [name for name in _FUNCTIONS if hasattr(module, name)]
        if self._transform and own:
            raise ValueError(
                f"the source has transform_fn and {own[0]}: transform_fn replaces {', '.join(_FUNCTIONS)}; keep one"
            )
        self._handlers = _handlers_of(module)
        load = getattr(module, "model_fn", None) or defaults.model_fn
        if before := getattr(module, "pre_model_fn", None):
            self._call(before, str(model_dir))
        self._model = self._call(load, str(model_dir))
        if warm_up := getattr(module, "model_warmup_fn", None):
            self._call(warm_up, str(model_dir), self._model)

    def invoke(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        """One answer each; the user's functions know single requests only."""
        return [self._answer(request) for request in requests]

    def execution_parameters(self) -> dict[str, Any]:
        return {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}

    def _answer(self, request: InferenceRequest) -> InferenceResponse:
        try:
            return self._answered(request)
        except Exception as error:
            traceback.print_exc()
            body = f"{error}\n{traceback.format_exc()}".encode()
            return InferenceResponse(body, "text/plain", getattr(error, "status", 500))

    def _answered(self, request: InferenceRequest) -> InferenceResponse:
        content_type = request.content_type or encoding.JSON
        accept = request.accept if request.accept not in ("", encoding.ANY) else self._accept
        context = self._context
        context.headers, context.accept_header, context.request_content_type = request.headers, accept, content_type
        context.custom_attributes = request.headers.get("x-amzn-sagemaker-custom-attributes", "")
        text = encoding.media_type(content_type) in encoding.TEXT
        body = bytes(request.body).decode() if text else bytes(request.body)
        result = self._transformed(body, content_type, accept)
        content, answered = result if isinstance(result, tuple) and len(result) == 2 else (result, accept.split(",")[0].strip())
        return InferenceResponse(_bytes(content), answered)

    def _transformed(self, body: Any, content_type: str, accept: str) -> Any:
        if self._transform:
            return self._call(self._transform, self._model, body, content_type, accept)
        if self._handlers:
            return self._handled(body, accept)
        data = self._call(self._functions["input_fn"], body, content_type)
        prediction = self._call(self._functions["predict_fn"], data, self._model)
        return self._call(self._functions["output_fn"], prediction, accept)

    def _handled(self, body: Any, accept: str) -> Any:
        """`input_handler` and `output_handler` of a TensorFlow source: around what TensorFlow Serving would be asked."""
        assert self._handlers is not None, "asked for only then"
        before, after = self._handlers
        asked = before(_Stream(body), self._context)
        data = json.loads(asked) if isinstance(asked, str | bytes) else asked
        prediction = self._call(self._functions["predict_fn"], data, self._model)
        return after(_RestAnswer(encoding.as_json(prediction)), self._context)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the user's, which may take the context as one more argument."""
        takes = len(inspect.signature(function).parameters)
        if takes == len(arguments) + 1:
            return function(*arguments, self._context)
        return function(*arguments)


def _handlers_of(module: Any) -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    before, after = getattr(module, "input_handler", None), getattr(module, "output_handler", None)
    if (before is None) != (after is None):
        raise ValueError("the source has only one of input_handler and output_handler; write both or none")
    return (before, after) if before and after else None


class _Stream:
    """A request's body as `input_handler` reads it."""

    def __init__(self, body: str | bytes):
        self._body = body.encode() if isinstance(body, str) else body

    def read(self) -> bytes:
        return self._body


class _RestAnswer:
    """TensorFlow Serving's answer as `output_handler` sees it."""

    status_code = 200

    def __init__(self, text: str):
        self.text, self.content = text, text.encode()
        self.headers = {"content-type": encoding.JSON}

    def json(self) -> Any:
        return json.loads(self.text)


def _bytes(content: Any) -> bytes:
    if isinstance(content, str):
        return content.encode()
    return bytes(content) if isinstance(content, bytes | bytearray | memoryview) else encoding.as_json(content).encode()
