"""Which addresses this server may connect to, where a file or a form names one: webhooks, sources, channels.

A name is resolved once, and whoever asks connects to exactly these addresses, so that no second answer of a name
server can lead elsewhere. Read also docs/decisions/0030-outbound.md.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import SOCK_STREAM, getaddrinfo, inet_aton

from connectors.errors import OutboundRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA = "an address where clouds keep their metadata"
LINK = "a link-local address, where clouds keep their metadata"
RESERVED = "a reserved address"
# Refused unless a part of them is listed itself. The first that fits names the kind.
NEVER: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("255.255.255.255/32", "the broadcast address"),
        ("0.0.0.0/8", "an unspecified address"),
        ("169.254.0.0/16", LINK),
        ("100.100.100.200/32", METADATA),  # Alibaba
        ("168.63.129.16/32", METADATA),  # Azure
        ("192.0.0.0/24", RESERVED),  # of the IETF; Oracle's metadata at .192
        ("192.0.2.0/24", RESERVED),
        ("192.88.99.0/24", RESERVED),
        ("198.51.100.0/24", RESERVED),
        ("203.0.113.0/24", RESERVED),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", RESERVED),
        ("::/128", "an unspecified address"),
        ("fe80::/10", LINK),
        ("fd00:ec2::/32", METADATA),  # Amazon
        ("fd20:ce::/32", METADATA),  # Google
        ("fd00:42::42/128", METADATA),  # Scaleway
        ("ff00::/8", "a multicast address"),
        ("64:ff9b:1::/48", RESERVED),  # NAT64 of a site's own: where it leads only its gateway knows
        ("2001:2::/48", RESERVED),
        ("2001:10::/28", RESERVED),
        ("2001:20::/28", RESERVED),
        ("2001:db8::/32", RESERVED),
        ("3fff::/20", RESERVED),
    )
)
LOOPBACK, PRIVATE = "a loopback address", "a private address"
OWN: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("127.0.0.0/8", LOOPBACK),
        ("::1/128", LOOPBACK),
        ("10.0.0.0/8", PRIVATE),
        ("172.16.0.0/12", PRIVATE),
        ("192.168.0.0/16", PRIVATE),
        ("100.64.0.0/10", PRIVATE),
        ("198.18.0.0/15", PRIVATE),
        ("fc00::/7", PRIVATE),
        ("fec0::/10", PRIVATE),
    )
)
PUBLIC6 = ip_network("2000::/3")  # all else of IPv6 is not given out
# An IPv4 address is the last 32 bits of these.
HOLDING4 = tuple(ip_network(network) for network in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96"))
ISATAP = (0x5EFE, 0x200_5EFE)  # bits 64 to 96, before the IPv4 address
# Names of the same services; where a proxy resolves them, the address is not seen.
METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.packet.net",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
        "instance-data",
        "instance-data.ec2.internal",
    }
)
LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
NAME = re.compile(rf"{LABEL}(\.{LABEL})*")
DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61\u2024", "."))
SETTING = "`outbound_hosts` of settings.yml"


@dataclass(frozen=True)
class _Listed:
    names: frozenset[str]
    below: tuple[str, ...]  # .example.com
    networks: tuple[Network, ...]

    @property
    def some(self) -> bool:
        """Whether there is a list."""
        return bool(self.names or self.below or self.networks)

    def name(self, host: str) -> bool:
        return host in self.names or host.endswith(self.below)

    def address(self, address: Address) -> bool:
        """Whether a listed network holds it; one of those in NEVER only if the list means a part of just that."""
        kinds = [network for network, _ in NEVER if address in network]
        return any(
            address in network and all(network.version == kind.version and _within(network, kind) for kind in kinds)
            for network in self.networks
        )


def permitted(host: str, port: int, allow: tuple[str, ...], *, private: bool) -> tuple[str, ...]:
    """The numeric addresses of a host that may be connected to; to no others.

    host: name or address alone, as it stands in an address, in any spelling. allow: `outbound_hosts`, as `listing`
    takes it; empty = no list. private: whether private and loopback addresses are permitted that are not listed.
    Raises OutboundRefused if any address of the host is refused; OSError (socket.gaierror) where it has none.
    """
    name, listed = canonical(host), _parsed(allow)
    _refuse_unlisted_name(host, name, listed)
    found = ip_of(name)
    if found is not None:
        addresses: tuple[Address, ...] = (found,)
    else:
        answers = getaddrinfo(name, port, type=SOCK_STREAM)
        addresses = tuple(dict.fromkeys(ip_address(str(answer[4][0])) for answer in answers))
    for address in addresses:
        _refuse(host, name, address, listed, private=private)
    return tuple(str(address) for address in addresses)


def permitted_by_proxy(host: str, allow: tuple[str, ...], *, private: bool) -> None:
    """As `permitted` for a host that a proxy of the machine's environment resolves: what its spelling tells.

    Raises OutboundRefused.
    """
    name, listed = canonical(host), _parsed(allow)
    address = ip_of(name)
    if address is not None:
        _refuse(host, name, address, listed, private=private)
        return
    if name in METADATA_NAMES:
        raise _refused(host, METADATA, "If it is meant, write its address in its place, and list that in", "")
    if name == "localhost" or name.endswith(".localhost"):
        _refuse(host, name, IPv4Address("127.0.0.1"), listed, private=private)
    elif listed.some and not listed.name(name):
        raise _unlisted(host, name)


def checked(host: str, port: int, allow: tuple[str, ...], *, private: bool) -> tuple[str, ...]:
    """As `permitted`, for a client that resolves and connects by itself: a name without an address here is its matter.

    Raises OutboundRefused.
    """
    try:
        return permitted(host, port, allow, private=private)
    except OSError:
        permitted_by_proxy(host, allow, private=private)
        return ()


def canonical(host: str) -> str:
    """A host in one spelling: lower case, ASCII, no brackets and no dot at its end. Raises OutboundRefused."""
    text = unicodedata.normalize("NFKC", host.translate(DOTS)).translate(DOTS).lower()
    text = text[1:-1] if text.startswith("[") and text.endswith("]") else text.removesuffix(".")
    if not text.isascii():
        try:
            text = text.encode("idna").decode()
        except UnicodeError:
            text = ""
    if ip_of(text) is None and not (len(text) <= 253 and NAME.fullmatch(text)):
        raise OutboundRefused(f"'{host[:100]}' is no name of a host", hint="Write one such as example.com or 10.0.0.7.")
    return text


def ip_of(text: str) -> Address | None:
    """The address that a host is, however it is written (`0x7f.1`, `2130706433`, `127.1`); None for a name."""
    try:
        return ip_address(text)
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx.]+", text):
        return None
    try:
        return IPv4Address(inet_aton(text))
    except OSError:
        return None


def listing(text: str) -> str:
    """One entry of `outbound_hosts` in one spelling. Raises ValueError, in words, for what is none."""
    said = text.strip().lower()
    hint = "Write a host such as api.example.com, *.example.com, 10.0.0.7 or 10.0.0.0/24."
    if "://" in said or "@" in said or re.fullmatch(r"[^:]+:\d+|\[.*\]:\d+", said):
        raise ValueError(f"'{text}' is more than a host\nWrite its name alone, without scheme, user, port and path.")
    if "/" in said:
        try:
            return str(ip_network(said))
        except ValueError:
            raise ValueError(f"'{text}' is no network{_wider(said)}\n{hint}") from None
    try:
        name = canonical(said.removeprefix("*."))
    except OutboundRefused:
        raise ValueError(f"'{text}' is no host\n{hint}") from None
    address = ip_of(name)
    if address is not None and (str(address) != name or said.startswith("*") or (_held(address) != (address,))):
        plain = ", ".join(str(item) for item in _held(address))
        raise ValueError(f"'{text}' is another spelling of {plain}\nWrite {plain}.")
    return f"*.{name}" if said.startswith("*.") else name


def _wider(text: str) -> str:
    """What a network is called whose address has bits below its prefix."""
    try:
        return f"; it would be {ip_network(text, strict=False)}"
    except ValueError:
        return ""


@lru_cache(maxsize=64)
def _parsed(allow: tuple[str, ...]) -> _Listed:
    names, below, networks = [], [], []
    for item in (listing(text) for text in allow):
        if item.startswith("*."):
            below.append(item[1:])
        elif "/" in item or ip_of(item) is not None:
            networks.append(ip_network(item))
        else:
            names.append(item)
    return _Listed(frozenset(names), tuple(below), tuple(networks))


def _within(network: Network, other: Network) -> bool:
    return network.prefixlen >= other.prefixlen and network.network_address in other


def _held(address: Address) -> tuple[Address, ...]:
    """The addresses that one leads to: itself, or those that are hidden in it."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.scope_id is not None:
        address = IPv6Address(int(address))
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    number = int(address)
    low = IPv4Address(number & 0xFFFF_FFFF)
    if any(address in network for network in HOLDING4) and number > 1:
        return (low,)
    return (address, low) if (number >> 32) & 0xFFFF_FFFF in ISATAP else (address,)


def _kind(address: Address) -> tuple[str, bool]:
    """What an address is in words, empty if it is a public one; and whether it is never permitted unlisted."""
    for table, never in ((NEVER, True), (OWN, False)):
        kind = next((words for network, words in table if address in network), "")
        if kind:
            return kind, never
    return (RESERVED, True) if address.version == 6 and address not in PUBLIC6 else ("", False)


def _refuse(host: str, name: str, address: Address, listed: _Listed, *, private: bool) -> None:
    """Raises OutboundRefused unless the address, and what is hidden in it, may be connected to."""
    for item in _held(address):
        if listed.address(item):
            continue
        kind, never = _kind(item)
        if never:
            raise _refused(host, _told(host, item, kind), "If it is meant, list this address in", str(item))
        if name in METADATA_NAMES:
            raise _refused(host, METADATA, "If it is meant, list this address in", str(item))
        if listed.name(name):
            continue
        if listed.some:
            raise _unlisted(host, name)
        if kind and not private:
            raise _refused(host, _told(host, item, kind), "If it is meant, list it in", name)


def _told(host: str, address: Address, kind: str) -> str:
    return kind if str(address) == host else f"{address}, {kind}"


def _refused(host: str, kind: str, words: str, entry: str) -> OutboundRefused:
    return OutboundRefused(f"no connection to {host}: it is {kind}", hint=f"{words} {SETTING}{entry and f': {entry}'}.")


def _unlisted(host: str, name: str) -> OutboundRefused:
    return OutboundRefused(f"no connection to {host}: it is not listed", hint=f"Add it to {SETTING}: {name}.")


def _refuse_unlisted_name(host: str, name: str, listed: _Listed) -> None:
    """Nothing is asked of a name server for a name that no answer could permit: the name itself may tell a secret."""
    if listed.some and not listed.networks and ip_of(name) is None and not listed.name(name):
        raise _unlisted(host, name)
