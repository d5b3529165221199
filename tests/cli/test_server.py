"""`clary up`, `down`, `status`, `version`."""

from __future__ import annotations

import inspect
import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from clary import __version__
from clary.cli.foreground import OPTIONS
from clary.cli.server import up as up_command


def test_a_server_in_the_background_is_found_and_stopped(clary, data):
    started = clary("up", "-d", "--data", data, "--port", "0")
    assert started.returncode == 0, started.stderr
    assert "is ready" in started.stdout
    endpoint = re.search(r"http://127\.0\.0\.1:\d+", started.stdout)[0]

    status = clary("status", "--data", data)
    assert status.returncode == 0
    assert endpoint in status.stdout

    assert clary("down", "--data", data).returncode == 0
    assert clary("status", "--data", data).returncode == 3
    assert not (data / "server.json").exists()


def test_a_server_in_the_foreground_says_where_it_is_and_ends_gracefully_on_ctrl_c(data):
    process = subprocess.Popen(
        [sys.executable, "-m", "clary.cli", "up", "--data", str(data), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert "is ready" in process.stdout.readline()
    assert re.search(r"endpoint +http://127\.0\.0\.1:\d+", process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert not (data / "server.json").exists()


def test_the_root_key_of_a_strict_server_is_shown_once(clary, data):
    first = clary("up", "-d", "--data", data, "--port", "0", "--auth", "strict")
    assert re.search(r"AWS_SECRET_ACCESS_KEY=\S+", first.stdout)
    clary("down", "--data", data)
    second = clary("up", "-d", "--data", data, "--port", "0", "--auth", "strict")
    assert "AWS_SECRET_ACCESS_KEY" not in second.stdout
    assert (data / "server.log").stat().st_mode & 0o077 == 0


def test_a_second_server_on_a_data_directory_is_refused_in_one_line(clary, data, up):
    up()
    again = clary("up", "-d", "--data", data, "--port", "0")
    assert again.returncode == 1
    assert again.stderr.startswith("clary: ")
    assert "in use" in again.stderr
    assert again.stderr.count("\n") == 1


def test_a_taken_port_is_named_in_one_line(clary, data):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for detach in ([], ["-d"]):
            refused = clary("up", "--data", data, "--port", str(port), *detach)
            assert refused.returncode == 1
            assert str(port) in refused.stderr
            assert refused.stderr.count("\n") == 1


def test_open_mode_is_refused_on_an_address_that_others_reach(clary, data):
    refused = clary("up", "--data", data, "--port", "0", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "strict" in refused.stderr


def test_a_wrong_setting_is_one_line(clary, data, tmp_path):
    refused = clary("up", "--data", data, "--auth", "maybe")
    assert (refused.returncode, refused.stderr) == (2, "clary: auth must be one of open, strict; got 'maybe'\n")
    (tmp_path / "my.toml").write_text("colour = 'blue'\n")
    refused = clary("up", "--data", data, "--config", tmp_path / "my.toml")
    assert refused.returncode == 2
    assert "'colour'" in refused.stderr
    assert clary("up", "--data", data, "--config", tmp_path / "none.toml").returncode == 2


@pytest.mark.parametrize(
    "command",
    [
        ["up", "--port", "99999"],
        ["up", "--detach", "--host", "0.0.0.0"],
        ["up", "--colour", "blue"],
        ["env", "--shell", "tcsh"],
        ["env", "--account", "12"],
        ["doctor", "--port", "99999"],
        ["services", "braket"],
        ["backup", "copy"],
        ["bucket", "mount", "Not A Bucket", "."],
        ["bucket", "mount", "a-bucket", "no-such-folder"],
        ["why"],
        ["frobnicate"],
    ],
    ids=" ".join,
)
def test_misuse_has_a_status_of_its_own(clary, data, up, command):
    if command[0] in ("env", "bucket"):
        up()
    misused = clary(*command, CLARY_DATA=str(data))
    assert misused.returncode == 2, misused.stderr
    assert "Traceback" not in misused.stderr


def test_up_in_the_foreground_takes_the_options_that_its_help_shows():
    assert set(inspect.signature(up_command).parameters) == {*OPTIONS, "config", "detach"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 1}'])
def test_a_damaged_format_file_is_one_line_that_says_what_it_should_be(clary, data, text):
    data.mkdir()
    (data / "format.json").write_text(text)
    refused = clary("up", "--data", data, "--port", "0")
    assert refused.returncode == 1
    assert re.fullmatch(r'clary: .*format\.json is damaged: it should read \{"format": 1\}.*\n', refused.stderr)


def test_a_damaged_database_is_one_line(clary, data):
    data.mkdir()
    (data / "resources.db").write_bytes(b"this is no database, whatever its name says" * 100)
    refused = clary("up", "--data", data, "--port", "0")
    assert refused.returncode == 1
    assert re.fullmatch(r"clary: .*resources\.db cannot be opened .*\n", refused.stderr)


def test_what_a_server_in_the_foreground_writes_is_for_its_owner_only(data):
    data.mkdir(mode=0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "clary.cli", "up", "--data", str(data), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.terminate()
    process.wait(30)
    assert [file.name for file in data.rglob("*") if file.stat().st_mode & 0o077] == []


def test_options_win_over_the_configuration_file(clary, data):
    data.mkdir()
    (data / "clary.toml").write_text('auth = "strict"\nport = 1\n')
    started = clary("up", "-d", "--data", data, "--port", "0")
    assert started.returncode == 0, started.stderr
    facts = json.loads((data / "server.json").read_text())
    assert facts["auth"] == "strict"
    assert facts["port"] > 1


@pytest.mark.parametrize(
    "command",
    [["down"], ["env"], ["logs", "a-job"], ["why", "a-job"], ["run", "--", "true"], ["bucket", "mount", "a-bucket", "."]],
    ids=" ".join,
)
def test_without_a_server_a_command_says_how_to_start_one(clary, data, command):
    missing = clary(*command, CLARY_DATA=str(data))
    assert missing.returncode == 3
    assert missing.stderr.startswith("clary: no Clary server")
    assert "clary up" in missing.stderr


def test_the_version(clary):
    assert clary("version").stdout == f"{__version__}\n"
