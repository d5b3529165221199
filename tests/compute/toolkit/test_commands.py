"""Commands that jobs give: what runs in a process that is warm, and what is installed before they run."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from clary.compute.toolkit import driver_files, layers, remote_function
from clary.compute.toolkit.command import at_hand, runs_in_process, script_of


@pytest.mark.parametrize(
    ("command", "script"),
    [
        (["python3", "/opt/ml/x.py", "--a", "b c"], ["/opt/ml/x.py", "--a", "b c"]),
        (["python", "-u", "x.py"], ["x.py"]),
        (["/miniconda3/bin/python3.8", "x.py"], ["x.py"]),
        (["python3", "-m", "x.py"], []),
        (["python3", "-Wx.py"], []),
        (["python3"], []),
        (["python2", "x.py"], []),
        (["/bin/bash", "x.py"], []),
    ],
)
def test_scripts_that_a_warm_process_runs_itself(command: list[str], script: list[str]) -> None:
    assert script_of(command) == script
    assert runs_in_process(command) == bool(script)


def test_without_a_command_the_toolkit_runs() -> None:
    assert runs_in_process(())


def test_an_images_python_is_the_jobs_own() -> None:
    assert at_hand(["/opt/conda/bin/python", "-m", "x"], "/own/python") == ["/own/python", "-m", "x"]
    assert at_hand(["/bin/bash", "python"], "/own/python") == ["/bin/bash", "python"]


def bundle(opt_ml: Path, requirements: str) -> Path:
    code = opt_ml / "processing" / "input" / "code"
    code.mkdir(parents=True)
    with tarfile.open(code / "sourcedir.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("./requirements.txt")
        member.size = len(requirements)
        tar.addfile(member, io.BytesIO(requirements.encode()))
    return opt_ml


def test_the_requirements_of_a_processors_bundle_are_known_before(tmp_path: Path) -> None:
    source, names = driver_files.requirements(bundle(tmp_path / "opt" / "ml", "pandas\n# comment\nnumpy>1\n"))
    assert names == ["-r", "requirements.txt"]
    assert (source / "requirements.txt").read_text() == "pandas\n# comment\nnumpy>1\n"


@pytest.mark.parametrize("line", ["-r more.txt", "./wheels/x.whl", "x @ file:///x.whl", "--index-url http://x"])
def test_requirements_that_lead_elsewhere_are_left_to_the_script(tmp_path: Path, line: str) -> None:
    _, names = driver_files.requirements(bundle(tmp_path / "opt" / "ml", f"pandas\n{line}\n"))
    assert names == []


def test_a_bundle_that_is_none_is_left_to_the_script(tmp_path: Path) -> None:
    opt_ml = bundle(tmp_path / "opt" / "ml", "")
    (opt_ml / "processing" / "input" / "code" / "sourcedir.tar.gz").write_bytes(b"no archive")
    assert driver_files.requirements(opt_ml)[1] == []


def test_paths_are_written_anew_where_there_is_no_own_opt_ml(tmp_path: Path) -> None:
    opt_ml = tmp_path / "opt" / "ml"
    sent, own = opt_ml / "processing" / "input" / "entrypoint", opt_ml / "processing" / "input" / "code"
    for directory in (sent, own):
        directory.mkdir(parents=True)
        (directory / "file").write_text("cd /opt/ml/processing/input/code/")
    command = driver_files.at(opt_ml, ["/bin/bash", "/opt/ml/processing/input/entrypoint/file", "--to", "/opt/ml/x"])
    assert command == ["/bin/bash", str(sent / "file"), "--to", str(opt_ml / "x")]
    assert (sent / "file").read_text() == f"cd {own}/"
    assert (own / "file").read_text() == "cd /opt/ml/processing/input/code/", "the user's own files are left alone"


def test_remote_functions_get_the_sdk_of_their_caller(tmp_path: Path) -> None:
    command = ["/bin/bash", "job_driver.sh", "--client_sagemaker_pysdk_version", "2.257.7", "--region", "us-east-1"]
    assert remote_function.requirements(command, [str(tmp_path)]) == ["sagemaker==2.257.7"]
    (tmp_path / "sagemaker-2.257.7.dist-info").mkdir()
    (tmp_path / "sagemaker-2.257.7.dist-info" / "METADATA").write_text("Name: sagemaker\nVersion: 2.257.7\n")
    assert remote_function.requirements(command, [str(tmp_path)]) == []
    assert remote_function.requirements(["x", "--client_sagemaker_pysdk_version", "-r evil.txt"], layers.own()) == []
