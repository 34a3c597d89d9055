"""Whom a client trusts over HTTPS. The server here only says 200: what matters is whether it is asked at all."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_kit import answers, raw_server, self_signed

from m10actors.cli.errors import WrongUsage
from m10actors.cli.http_target import HttpTarget
from m10actors.client import RecoveryClient, WrongAddress

OK = answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
pytestmark = pytest.mark.needs("openssl")


def not_tls(connection: socket.socket) -> None:
    """A script: says what an HTTP server says to the beginning of TLS."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem", "IP:127.0.0.1")


@pytest.fixture
def url(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with raw_server(lambda connection: OK(context.wrap_socket(connection, server_side=True))) as plain:
        yield plain.replace("http://", "https://")


def test_a_certificate_of_the_named_authority_is_trusted(url: str, certificate: Path) -> None:
    client = RecoveryClient(url, "token", ca_file=certificate, spool=None)
    with client, pytest.raises(WrongAddress, match="its answer has no outcome for each failure"):
        client.ingest(raw="x")


def test_another_one_is_refused_at_once(url: str) -> None:
    with (
        RecoveryClient(url, "token", spool=None) as client,
        pytest.raises(WrongAddress, match="TLS failed: self-signed"),
    ):
        client.ingest(raw="x")


def test_a_server_that_speaks_no_tls_is_told_at_once(certificate: Path) -> None:
    with raw_server(not_tls) as plain:
        client = RecoveryClient(plain.replace("http://", "https://"), "token", ca_file=certificate, spool=None)
        with client, pytest.raises(WrongAddress, match="the server speaks no TLS"):
            client.ingest(raw="x")


def test_what_is_no_certificate_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "nofile"):
        with pytest.raises(ValueError, match="ca_file: expected a readable file of PEM certificates"):
            RecoveryClient("https://127.0.0.1", ca_file=tmp_path / name, spool=None)
    with pytest.raises(ValueError, match="ca_file: goes with an https address"):
        RecoveryClient("http://127.0.0.1", ca_file=tmp_path / "ca.pem", spool=None)
    with pytest.raises(WrongUsage, match="ca_file: expected"):
        HttpTarget("https://127.0.0.1", None, tmp_path / "ca.pem")
