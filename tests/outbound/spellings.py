"""One IPv4 address in the spellings that something between a form and a socket takes for it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

WIDE = str.maketrans("0123456789", "０１２３４５６７８９")
CARRIERS = ("8.8.8.8", "2606:4700::5efe:0:0/96", "::")  # own addresses of some of them, which count, too
TEREDO = int(IPv6Address("2001::")) | int(IPv4Address(CARRIERS[0])) << 64


def numbers(address: str) -> list[str]:
    """By other digits, other bases, fewer parts, other dots."""
    a, b, c, d = (int(part) for part in address.split("."))
    whole = int(IPv4Address(address))
    return [
        address,
        f"{address}.",
        str(whole),
        hex(whole),
        f"0{whole:o}",
        f"{a}.{whole & 0xFFFFFF}",
        f"{a}.{b}.{whole & 0xFFFF}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a:#X}.{b}.0{c:o}.{d}",
        address.replace(".", "\u3002"),
        address.replace(".", "\uff0e"),
        address.replace(".", "\uff61"),
        address.translate(WIDE),
    ]


def hidden(address: str) -> list[str]:
    """In addresses of IPv6."""
    low = int(IPv4Address(address))
    found = (
        f"::ffff:{address}",
        str(IPv6Address(0xFFFF << 32 | low)),
        str(IPv6Address(0xFFFF << 48 | low)),
        f"::{address}",
        str(IPv6Address(int(IPv6Address("64:ff9b::")) | low)),
        str(IPv6Address(0x2002 << 112 | low << 80 | 1)),
        str(IPv6Address(TEREDO | low ^ 0xFFFF_FFFF)),
        str(IPv6Address(int(IPv6Address("2606:4700::")) | 0x5EFE << 32 | low)),
    )
    return [*found, *(f"[{item}]" for item in found), f"[::ffff:{address}%1]"]
