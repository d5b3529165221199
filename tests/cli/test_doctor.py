"""`clary doctor`."""

from __future__ import annotations

import http.server
import socket
import threading
from contextlib import contextmanager

import pytest

from clary.cli.doctor import EMULATORS, check_credentials, check_disk, check_port


@contextmanager
def answering(page):
    """A web server that has only this page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == page else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever).start()
        yield web.server_port
        web.shutdown()


@pytest.mark.parametrize("emulator", EMULATORS)
def test_another_emulator_on_the_port_is_named(tmp_path, emulator):
    with answering(EMULATORS[emulator]) as port:
        finding = check_port(tmp_path, port)
    assert finding.level == "problem"
    assert emulator in finding.text
    assert "--port" in finding.remedy


def test_another_clary_on_the_port_is_named(tmp_path, server):
    assert "another Clary" in check_port(tmp_path, server.port).text


def test_a_free_port_is_fine(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert check_port(tmp_path, port).level == "ok"


def test_real_keys_are_pointed_out(tmp_path):
    assert not list(check_credentials({"AWS_ACCESS_KEY_ID": "000000000000"}, tmp_path))
    assert not list(check_credentials({"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_ENDPOINT_URL": "http://localhost:4566"}, tmp_path))
    assert len(list(check_credentials({"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_PROFILE": "work"}, tmp_path))) == 2
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\naws_access_key_id = AKIA1\n")
    assert ".aws" in next(check_credentials({}, tmp_path)).text


def test_disk_space_is_measured_where_the_data_directory_will_be(tmp_path):
    assert "GiB free" in check_disk(tmp_path / "not" / "yet").text


def test_the_command_shows_what_it_found(clary, data, up):
    up()
    shown = clary("doctor", "--data", data)
    assert shown.returncode == 0, shown.stdout
    assert "Clary is running at" in shown.stdout
