"""What may be connected to: every kind of address, in every spelling, with and without a list."""

from __future__ import annotations

import pickle
import socket
import threading
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import outbound
from connectors.errors import OutboundRefused
from connectors.outbound import permitted, permitted_by_proxy
from connectors.outbound_http import guarded_client
from connectors.settings import Settings
from tests.outbound.spellings import CARRIERS, hidden, numbers
from tests.sampling import sampled

METADATA = "169.254.169.254"
NEVER = (
    METADATA,
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
)
NEVER6 = (
    "fe80::1",
    "fe80::1%eth0",
    "FE80::A9FE:A9FE",
    "febf::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "ff02::1",
    "::",
    "64:ff9b:1::808:808",
    "2001:db8::1",
    "100::1",
    "4000::1",
)
OWN = ("127.0.0.1", "127.8.9.10", "10.0.0.5", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1")
OWN6 = ("::1", "fc00::1", "fd12:3456::1")
PUBLIC = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111")


def asked(host: str, *allow: str, private: bool = True) -> tuple[str, ...]:
    return permitted(host, 80, allow, private=private)


def refused(host: str, *allow: str, private: bool = True) -> str:
    with pytest.raises(OutboundRefused) as told:
        asked(host, *allow, private=private)
    return str(told.value)


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """What a name server would say of every name; the names that it was asked for."""
    names: list[str] = []

    def told(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        names.append(host)
        families = [socket.AF_INET6 if ":" in item else socket.AF_INET for item in addresses]
        return [(family, 1, 6, "", (item, port)) for family, item in zip(families, addresses, strict=True)]

    monkeypatch.setattr(outbound, "getaddrinfo", told)
    return names


@pytest.mark.parametrize("address", NEVER)
def test_what_is_never_meant_is_refused_in_every_spelling(address: str) -> None:
    for host in [*numbers(address), *hidden(address)]:
        for private in (True, False):
            assert "outbound_hosts" in refused(host, private=private), host
        assert refused(host, "0.0.0.0/0", "::/0"), host  # what lists all means none of these
        assert asked(host, address, *CARRIERS), host


@pytest.mark.parametrize("address", NEVER6)
def test_what_is_never_meant_is_refused_in_ipv6_too(address: str) -> None:
    assert "outbound_hosts" in refused(address)
    assert refused(f"[{address}]", private=False)


@pytest.mark.parametrize("address", OWN)
def test_private_addresses_are_for_sources_or_listed(address: str) -> None:
    for host in [*numbers(address), *hidden(address)]:
        assert asked(host), host
        assert "outbound_hosts" in refused(host, private=False), host
        assert asked(host, address, *CARRIERS, private=False), host
        assert "not listed" in refused(host, "example.com"), host


@pytest.mark.parametrize("address", OWN6)
def test_private_addresses_of_ipv6_are_for_sources_or_listed(address: str) -> None:
    assert asked(address) == (address,)
    assert refused(address, private=False)
    assert asked(f"[{address}]", str(ip_network(f"{address}/120", strict=False)), private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted_unless_a_list_has_others(address: str) -> None:
    assert asked(address, private=False) == (address,)
    assert "not listed" in refused(address, "example.com")
    assert asked(address, address, private=False)


def test_what_leads_to_a_public_address_is_permitted() -> None:
    assert asked("64:ff9b::808:808", private=False) == ("64:ff9b::808:808",)
    assert asked("64:ff9b::808:808", "8.8.8.8", private=False)


@sampled(fast=40, slow=400, full=20_000)
@given(st.ip_addresses(v=4).filter(lambda address: int(address) > 1))  # ::0 and ::1 are others
def test_a_spelling_changes_no_answer(address: Any) -> None:
    def answer(host: str, private: bool) -> bool:
        try:
            return bool(asked(host, private=private))
        except OutboundRefused:
            return False

    for private in (True, False):
        told = {host: answer(host, private) for host in [*numbers(str(address)), *hidden(str(address))]}
        assert set(told.values()) == {told[str(address)]}, told


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "good.example@169.254.169.254",
        "169.254.169.254@good.example",
        "good.example/169.254.169.254",
        "good.example\\@169.254.169.254",
        "169.254.169.254 good.example",
        "169.254.169.254\tgood.example",
        "169.254.169.254\x00.good.example",
        "127.0.0.1:80",
        "%31%36%39.254.169.254",
        "169.254.169.254#good.example",
        "169.254.169.254?good.example",
        "[169.254.169.254",
        "a..b",
        "a" * 64,
        "a." * 200 + "a",
        "good.example\r\nHost: other",
        "\ud800",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    assert "no name of a host" in refused(host)


def test_every_address_of_a_name_has_to_be_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, "8.8.8.8", "2606:4700::1")
    assert asked("Shop.Example.", private=False) == ("8.8.8.8", "2606:4700::1")
    for wrong in ("127.0.0.1", "10.0.0.1", "::1", "::ffff:10.0.0.1", METADATA, "fe80::1"):
        answers(monkeypatch, "8.8.8.8", wrong)
        assert wrong.rpartition(":")[2] in refused("shop.example", private=False)
    answers(monkeypatch, "8.8.8.8", METADATA)
    told = refused("shop.example", "shop.example")
    assert METADATA in told and "list this address" in told and f"`outbound_hosts` of settings.yml: {METADATA}" in told
    assert asked("shop.example", "shop.example", METADATA) == ("8.8.8.8", METADATA)
    assert asked("shop.example", "shop.example", "169.254.0.0/16")


def test_a_name_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that tells a forbidden address the second time: connected to is the one of the first."""
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    told = iter(["127.0.0.1", METADATA])

    def changing(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, 1, 6, "", (next(told), port))]

    monkeypatch.setattr(outbound, "getaddrinfo", changing)

    def serve() -> None:
        taken, _ = server.accept()
        with taken:
            got.append(taken.recv(1 << 12))
            taken.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    got: list[bytes] = []
    thread = threading.Thread(target=serve)
    thread.start()
    with server, guarded_client(("rebound.example",), private=True) as client:
        assert client.get(f"http://rebound.example:{port}/").status_code == 204
        thread.join()
        assert b"Host: rebound.example" in got[0]
        with pytest.raises(OutboundRefused):
            client.get(f"http://rebound.example:{port}/")


def test_a_listed_name_may_be_private_and_others_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    names = answers(monkeypatch, "10.0.0.5")
    told = refused("hooks.corp", private=False)
    assert "10.0.0.5, a private address" in told and "`outbound_hosts` of settings.yml: hooks.corp" in told
    for allow in ("hooks.corp", "*.corp", "10.0.0.0/24", "10.0.0.5"):
        assert asked("HOOKS.corp", allow, private=False) == ("10.0.0.5",)
    before = len(names)
    for host in ("corp", "xhooks.corp.example", "evilcorp"):
        assert "not listed" in refused(host, "*.corp", "hooks.example")
    assert len(names) == before  # no name server is asked for what no answer would permit
    assert asked("bücher.corp", "bücher.corp") and names[-1] == "xn--bcher-kva.corp"


@pytest.mark.parametrize("name", ["metadata.google.internal", "Metadata.Google.Internal.", "metadata", "instance-data"])
def test_names_of_metadata_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    answers(monkeypatch, "10.0.0.5")
    assert "metadata" in refused(name) and refused(name, name.lower().strip("."))
    assert asked(name, "10.0.0.5")


def test_what_a_proxy_resolves_is_judged_by_its_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: Any, **__: Any) -> None:
        raise AssertionError("a name server was asked")

    monkeypatch.setattr(outbound, "getaddrinfo", lookup)
    permitted_by_proxy("api.example.com", (), private=False)
    permitted_by_proxy("api.example.com", ("*.example.com",), private=False)
    permitted_by_proxy("localhost", (), private=True)
    cases = [("api.example.com", ("other.example",)), ("metadata.google.internal", ()), ("localhost", ())]
    cases += [(host, ()) for address in (METADATA, "127.0.0.1") for host in [*numbers(address), *hidden(address)]]
    for host, allow in cases:
        with pytest.raises(OutboundRefused):
            permitted_by_proxy(host, allow, private=False)


def test_a_name_without_an_address_is_no_refusal() -> None:
    with pytest.raises(OSError, match=r".") as told:
        asked("nobody.invalid")
    assert isinstance(told.value, socket.gaierror)
    assert asked("localhost") and ip_address(asked("localhost")[0]).is_loopback


def test_a_refusal_crosses_between_processes() -> None:
    with pytest.raises(OutboundRefused) as told:
        asked(METADATA)
    again = pickle.loads(pickle.dumps(told.value))
    assert (str(again), again.code) == (str(told.value), "outbound")


def test_the_setting_takes_hosts_in_one_spelling() -> None:
    said = [
        "API.Example.com.",
        "*.Example.com",
        "my_db",
        "10.0.0.7",
        "10.0.0.0/24",
        "::1",
        "bücher.de",
    ]
    assert Settings(outbound_hosts=said).outbound_hosts == (
        "api.example.com",
        "*.example.com",
        "my_db",
        "10.0.0.7",
        "10.0.0.0/24",
        "::1",
        "xn--bcher-kva.de",
    )
    assert Settings(outbound_hosts="example.com").outbound_hosts == ("example.com",)
    assert Settings().outbound_hosts == ()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("https://example.com", "more than a host"),
        ("example.com:443", "more than a host"),
        ("[::1]:443", "more than a host"),
        ("me@example.com", "more than a host"),
        ("example.com/path", "no network"),
        ("10.0.0.5/8", "it would be 10.0.0.0/8"),
        ("*", "no host"),
        ("*.", "no host"),
        ("a.*.example.com", "no host"),
        ("", "no host"),
        ("127.1", "Write 127.0.0.1"),
        ("0x7f000001", "Write 127.0.0.1"),
        ("::ffff:127.0.0.1", "Write 127.0.0.1"),
        ("*.10.0.0.1", "Write 10.0.0.1"),
        ([], "leave the key out"),
        ([10], "leave the key out"),
        ({"a": 1}, "leave the key out"),
        (None, "leave the key out"),
    ],
)
def test_the_setting_says_what_is_wrong(said: object, words: str) -> None:
    with pytest.raises(ValueError, match=r"outbound_hosts") as told:
        Settings.model_validate({"outbound_hosts": [said] if isinstance(said, str) else said})
    assert words in str(told.value)
