"""The way to a webhook: receivers that refuse, hang, answer without end or lead elsewhere, and names that do."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.channels.contract import Message, channel_for
from connectors.channels.webhook import WebhookChannel, outcome_of
from connectors.webhooks import address_problem
from tests.alerts.receiver import KEY, SECRET, Receiver, receiving

LISTED = ("127.0.0.1",)
EVENT = Message("test", '{"type": "test", "timestamp": "", "data": {}}', id="evt_1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found
    assert found.refused == []


def sent(url: str, allow: tuple[str, ...] = LISTED, limit: float = 5.0) -> Any:
    return WebhookChannel(SECRET, allow, limit_seconds=limit).send(url, EVENT)


def test_what_is_taken_is_delivered(receiver: Receiver) -> None:
    for status in (200, 201, 202, 204, 299):
        receiver.answers = [status]
        assert sent(receiver.url).status == "delivered"
    assert len(receiver.got) == 5
    receiver.answers = ["flood"]
    assert sent(receiver.url).status == "delivered", "that it was taken stands before what else it says"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (400, "it answered 400 Bad Request"),
        (418, "it answered 418 I'm a Teapot"),
        (599, "it answered 599"),
        (999, "it answered 999"),
        ("garbage", "what it answers is no HTTP"),
        ("no number", "what it answers is no HTTP"),
        ("long line", "what it answers is no HTTP"),
        ("many headers", "what it answers is no HTTP"),
    ],
)
def test_what_is_not_is_said_without_its_words(receiver: Receiver, answer: Any, says: str) -> None:
    receiver.answers = [answer]
    found = sent(receiver.url)
    assert found.status == "failed" and not found.final and found.detail.startswith(says) and KEY not in found.detail


def test_one_that_never_answers_or_never_ends_is_left_in_time(receiver: Receiver) -> None:
    for answer, status in (("hang", "failed"), ("drip", "delivered"), ("flood", "delivered")):
        receiver.answers, started = [answer], time.monotonic()
        found = sent(receiver.url, limit=1.5)
        assert found.status == status and time.monotonic() - started < 3.5
    assert max(receiver.sizes, default=0) < 16_000_000, "what is not read fills the way and no more"


def test_one_that_takes_a_connection_and_is_silent_or_drips_its_answer_is_left_in_time() -> None:
    for first in (b"", b"HTTP/1.1 200 OK\r\n"):
        with closing(socket.create_server(("127.0.0.1", 0))) as server:

            def serve(first: bytes = first, server: socket.socket = server) -> None:
                client, _ = server.accept()
                with closing(client):
                    client.sendall(first)
                    try:
                        for _ in range(30):
                            time.sleep(0.1)
                            client.sendall(b"X: y\r\n" if first else b"")
                    except OSError:
                        pass

            threading.Thread(target=serve, daemon=True).start()
            started = time.monotonic()
            found = sent(f"http://127.0.0.1:{server.getsockname()[1]}/", limit=0.6)
            assert found.status == "failed" and found.detail == "no answer within 0.6 s"
            assert time.monotonic() - started < 2.8


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as other:
        receiver.answers = [(status, {"Location": other.url})]
        found = sent(receiver.url)
        assert found.status == "failed" and "redirects are not followed" in found.detail
        assert other.got == [] and other.refused == []


@pytest.mark.parametrize(
    ("status", "header", "wait", "final"),
    [
        (429, "120", 120.0, False),
        (503, "7", 7.0, False),
        (503, "", 0.0, False),
        (500, "120", 0.0, False),
        (429, "999999999", 86400.0, False),
        (429, "-5", 0.0, False),
        (429, "1e9", 0.0, False),
        (429, "٣", 0.0, False),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", 0.0, False),
        (410, "", 0.0, True),
        (404, "", 0.0, False),
    ],
)
def test_how_long_one_asks_to_be_left_alone(status: int, header: str, wait: float, final: bool) -> None:
    found = outcome_of(status, header)
    assert (found.status, found.after, found.final) == ("failed", wait, final)


def test_one_that_is_not_there_is_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    found = sent(f"http://127.0.0.1:{port}/{KEY}")
    assert found.status == "failed" and "refused" in found.detail and KEY not in found.detail


def certificate(folder: Path, name: str) -> Path:
    """A key and the certificate that it signed itself, for a host or number, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    alternative = x509.DNSName(name) if name[0].isalpha() else x509.IPAddress(ip_address(name))
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1))
        .not_valid_after(datetime(2100, 1, 1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / f"{name}.pem"
    path.write_bytes(text + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("name", "trusted", "says"),
    [
        ("127.0.0.1", True, ""),
        ("127.0.0.1", False, "its certificate is not"),
        ("example.com", True, "its certificate is"),
    ],
)
def test_a_certificate_is_of_the_host_and_vouched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool, says: str
) -> None:
    """Whom this machine trusts is said by OpenSSL's SSL_CERT_FILE."""
    made = certificate(tmp_path, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made)
    with receiving(context) as receiver:
        found = sent(receiver.url.replace("http://", "https://"))
        assert receiver.types == ([] if says else ["test"])
    assert (found.status == "failed") == bool(says) and found.detail.startswith(says)


def test_no_contact_point_is_taken_for_a_webhook() -> None:
    for url in ("https://hooks.example.com/x", "json://127.0.0.1/", "http://127.0.0.1/"):
        assert not isinstance(channel_for(url, ()), WebhookChannel)


SPELLED = (
    "http://127.0.0.1:{}/",
    "http://localhost:{}/",
    "http://[::1]:{}/",
    "https://127.0.0.1:{}/",
    "https://localhost:{}/",
    "https://127.1:{}/",
    "https://2130706433:{}/",
    "https://0x7f000001:{}/",
    "https://0177.0.0.1:{}/",
    "https://0:{}/",
    "https://0.0.0.0:{}/",
    "https://[::]:{}/",
    "https://[::ffff:127.0.0.1]:{}/",
    "https://[::ffff:7f00:1]:{}/",
    "https://169.254.169.254:{}/latest/meta-data/",
    "https://[::ffff:169.254.169.254]:{}/",
    "https://[fe80::1]:{}/",
    "https://[fd00:ec2::254]:{}/",
    "https://10.0.0.1:{}/",
    "https://172.16.0.1:{}/",
    "https://192.168.0.1:{}/",
    "https://100.64.0.1:{}/",
    "https://224.0.0.1:{}/",
    "https://240.0.0.1:{}/",
    "https://255.255.255.255:{}/",
    "https://[64:ff9b::7f00:1]:{}/",
    "https://[2002:7f00:1::]:{}/",
)


@pytest.mark.parametrize("spelled", SPELLED)
def test_an_address_inside_is_not_connected_to_unless_it_is_listed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    """However it is spelled, and never after a look at what listens there."""

    def connected(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was connected to")

    monkeypatch.setattr(socket, "create_connection", connected)
    found = sent(spelled.format(receiver.port), allow=("hooks.example.com",))
    assert found.status == "failed" and "outbound_hosts" in found.detail
    assert receiver.got == []


def name_server(monkeypatch: pytest.MonkeyPatch, leads: Callable[[str], str]) -> None:
    """Names that are no numbers lead elsewhere. leads: name → number."""
    real = socket.getaddrinfo

    def asked(host: str, port: Any, *arguments: Any, **options: Any) -> Any:
        return real(leads(host), port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setattr("connectors.outbound.getaddrinfo", asked)


def test_a_name_is_looked_up_once_and_nothing_else_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: the second answer of the name server leads inside."""
    names, tried = list[str](), list[str]()

    def leads(host: str) -> str:
        names.append(host)
        return "192.0.2.1" if len(names) == 1 else "127.0.0.1"

    def connected(address: tuple[str, int], **_: Any) -> Any:
        tried.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    name_server(monkeypatch, leads)
    monkeypatch.setattr(socket, "create_connection", connected)
    found = sent("https://hooks.example.com/", allow=("192.0.2.0/24",))
    assert names == ["hooks.example.com"] and tried == ["192.0.2.1"], found


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
@pytest.mark.parametrize("allow", [(), ("other.example.com",), ("192.0.2.7",)])
def test_a_name_that_leads_inside_is_refused(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver, inside: str, allow: tuple[str, ...]
) -> None:
    name_server(monkeypatch, lambda host: inside if host == "inside.example.com" else host)
    found = sent(f"https://inside.example.com:{receiver.port}/", allow)
    assert found.status == "failed" and "outbound_hosts" in found.detail
    assert receiver.got == []


def test_http_to_this_machine_goes_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    name_server(monkeypatch, lambda host: "198.18.0.1" if host == "localhost" else host)
    found = sent("http://localhost:9/", allow=("localhost",))
    assert found.detail == "http:// is for this machine only, and the name leads elsewhere"
    assert address_problem("http://localhost:9/") == ""
