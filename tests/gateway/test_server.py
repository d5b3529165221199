"""The server as a process: start, claim, restart, stop."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import urllib.request

import pytest

from clary.core.config import Config
from clary.gateway.server import check_address


def test_a_server_says_where_it_is_and_takes_it_back_when_it_stops(start_server):
    server = start_server()
    facts = json.loads((server.data / "server.json").read_text())
    assert facts["pid"] == server.process.pid
    assert (facts["port"], facts["host"], facts["auth"], facts["tls_port"]) == (server.port, "127.0.0.1", "open", None)
    assert (server.data / "server.json").stat().st_mode & 0o077 == 0
    assert server.stop() == 0
    assert not (server.data / "server.json").exists()


def test_what_it_writes_is_for_its_owner_only(start_server):
    server = start_server()
    server.client("iam").create_user(UserName="anna")
    files = [path for path in server.data.rglob("*") if not path.name.startswith("test-")]
    assert files
    assert not [path for path in files if path.stat().st_mode & 0o077]


def test_a_head_without_end_is_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                connection.sendall(b"a" * 100_000)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(12) in (b"HTTP/1.1 400", b"")


def test_a_data_directory_belongs_to_one_server(start_server):
    server = start_server()
    with pytest.raises(AssertionError, match=rf"in use by another Clary server \(pid {server.process.pid}\)"):
        type(server)(server.data).start()
    assert server.get("/_clary/health")[0] == 200


def test_a_killed_server_leaves_no_lock_and_nothing_is_lost(start_server):
    server = start_server()
    server.client("iam").create_user(UserName="anna")
    port = server.port
    server.kill()
    server.restart()
    assert server.port == port
    assert server.client("iam").get_user(UserName="anna")["User"]["UserName"] == "anna"


def test_a_directory_of_a_newer_format_is_refused(start_server):
    server = start_server()
    server.stop()
    (server.data / "format.json").write_text('{"format": 99}')
    with pytest.raises(AssertionError, match="has format 99"):
        server.start()


def test_open_is_refused_where_others_can_reach_it(start_server):
    with pytest.raises(AssertionError, match=r"auth 'open' is refused on 0\.0\.0\.0"):
        start_server(host="0.0.0.0")
    with pytest.raises(ValueError, match="auth strict"):
        check_address(Config(host="::"))
    check_address(Config(host="localhost"))
    check_address(Config(host="0.0.0.0", auth="strict"))


def test_a_taken_port_is_named(start_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=rf"cannot listen on 127.0.0.1:{port}.*--port"):
            start_server(port=port)


def test_a_graceful_stop_finishes_the_request_in_progress(start_server):
    """The body arrives while the server is already stopping."""
    server = start_server()
    server.client("s3").create_bucket(Bucket="slow-upload")
    head = (
        "PUT /slow-upload/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nX-Amz-Date: 20260101T000000Z\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, "
        f"Signature={'0' * 64}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + b"01234")
        wait_for_metric(server, "clary_requests_in_flight 2")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        wait_until_refused(server.port)
        connection.sendall(b"56789")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    stopping.join()
    server.restart()
    assert server.client("s3").get_object(Bucket="slow-upload", Key="key")["Body"].read() == b"0123456789"


def wait_for_metric(server, line):
    while line not in server.get("/_clary/metrics")[1].decode():
        pass


def wait_until_refused(port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            continue  # it was in the listener's queue when the listener closed


def test_tls_with_the_certificate_authority_of_the_data_directory(start_server):
    server = start_server(tls=True, hosts=["clary.test"])
    context = ssl.create_default_context(cafile=server.data / "tls" / "ca.pem")
    with urllib.request.urlopen(f"https://localhost:{server.tls_port}/_clary/health", context=context) as answer:
        assert answer.status == 200
    with (
        socket.create_connection(("127.0.0.1", server.tls_port)) as plain,
        context.wrap_socket(plain, server_hostname="clary.test") as secured,
    ):
        names = {value for _, value in secured.getpeercert()["subjectAltName"]}
    assert {"localhost", "*.localhost", "127.0.0.1", "clary.test"} <= names
    assert (server.data / "tls" / "ca-key.pem").stat().st_mode & 0o077 == 0

    certificate = (server.data / "tls" / "server.pem").read_bytes()
    authority = (server.data / "tls" / "ca.pem").read_bytes()
    server.restart()
    assert (server.data / "tls" / "server.pem").read_bytes() == certificate
    server.restart(hosts=["other.test"])
    assert (server.data / "tls" / "server.pem").read_bytes() != certificate
    assert (server.data / "tls" / "ca.pem").read_bytes() == authority


def test_metrics_count_requests(start_server):
    server = start_server()
    server.client("sts").get_caller_identity()
    text = server.get("/_clary/metrics")[1].decode()
    assert 'clary_requests_total{service="sts",operation="GetCallerIdentity",status="200"} 1' in text
    assert 'clary_request_seconds_count{service="sts"} 1' in text
    assert "process_resident_memory_bytes" in text


def test_metrics_do_not_grow_with_names_that_clients_make_up(start_server):
    server = start_server()
    for number in range(3):
        server.get(f"/_clary/nothing-{number}")
        server.get("/", "POST", x_amz_target=f'SageMaker.Made"Up{number}', authorization="nonsense")
    text = server.get("/_clary/metrics")[1].decode()
    assert 'clary_requests_total{service="unknown",operation="unknown",status="400"} 3' in text
    assert 'clary_requests_total{service="clary",operation="page",status="404"} 3' in text
