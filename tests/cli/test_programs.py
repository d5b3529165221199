"""`clary env` and `clary run`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

STRAY = {"AWS_PROFILE": "a-profile-that-is-not-there", "AWS_ENDPOINT_URL_S3": "http://elsewhere"}
WHO = "import boto3; print(boto3.client('sts', endpoint_url='https://sts.us-east-1.amazonaws.com').get_caller_identity()['Account'])"


def test_a_program_works_that_names_a_real_aws_address(clary, data, up):
    up()
    ran = clary("run", "--data", data, "--account", "123456789012", "--", sys.executable, "-c", WHO)
    assert (ran.returncode, ran.stdout) == (0, "123456789012\n"), ran.stderr


def test_the_exit_status_is_the_programs(clary, data, up):
    up()
    assert clary("run", "--data", data, "--", "sh", "-c", "exit 7").returncode == 7


def test_a_program_that_does_not_exist_is_one_line(clary, data, up):
    up()
    missing = clary("run", "--data", data, "--", "no-such-program")
    assert (missing.returncode, missing.stderr) == (127, "clary: no-such-program: no such program\n")


def test_a_server_can_live_as_long_as_the_program(clary, data):
    ran = clary("run", "--up", "--data", data, "--", sys.executable, "-c", WHO)
    assert (ran.returncode, ran.stdout) == (0, "000000000000\n"), ran.stderr
    assert clary("status", "--data", data).returncode == 3
    assert clary("run", "--up", "--data", data, "--", "sh", "-c", "exit 9").returncode == 9


def test_a_terminated_run_takes_its_server_along(data, tmp_path):
    command = [
        sys.executable,
        "-m",
        "clary.cli",
        "run",
        "--up",
        "--data",
        str(data),
        "--",
        "sh",
        "-c",
        "echo began; exec sleep 600",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout.readline() == "began\n"
    process.terminate()
    assert process.wait(60) == 143
    assert not (data / "server.json").exists()


def test_env_points_a_shell_at_the_server_and_back(clary, data, up):
    up()
    script = clary("env", "--data", data, "--region", "eu-west-1", **STRAY).stdout
    shown = in_shell(f"{script}\n{shlex.quote(sys.executable)} -c 'import boto3; print(boto3.client(\"s3\").meta.region_name)'")
    assert shown == "eu-west-1\n"
    back = clary("env", "--unset").stdout
    assert "NO_PROXY" not in back, "the user's own proxies may depend on it"
    show = 'echo "[${AWS_ENDPOINT_URL-}${AWS_ACCESS_KEY_ID-}]"'
    assert in_shell(f"{script}\n{back}\n{show}") == "[]\n"


def in_shell(script: str) -> str:
    environ = STRAY | {"PATH": os.environ["PATH"]}
    return subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, check=True, env=environ).stdout


def test_strict_mode_needs_a_key_and_takes_one_from_the_environment(clary, data):
    started = clary("up", "-d", "--data", data, "--port", "0", "--auth", "strict")
    keys = dict(line.split("=", 1) for line in started.stdout.splitlines() if line.startswith("AWS_"))
    without = clary("run", "--data", data, "--", "true")
    assert without.returncode == 2
    assert "--access-key-id" in without.stderr
    ran = clary("run", "--data", data, "--", sys.executable, "-c", WHO, **keys)
    assert (ran.returncode, ran.stdout) == (0, "000000000000\n"), ran.stderr


@pytest.mark.parametrize("shell", ["powershell", ""])
def test_an_unknown_shell_is_refused(clary, shell):
    refused = clary("env", "--shell", shell)
    assert refused.returncode == 2
    assert "sh or fish" in refused.stderr
