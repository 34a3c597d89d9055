"""The address guard: which addresses may be connected to, whatever a name or an odd literal turned into.

The table is our own, because `ipaddress` answers other questions (its `is_global` is true for NAT64 and 6to4 forms of
loopback) and has changed its answers between patch releases. Source: the IANA special-purpose registries.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network

from m10actors.delivery.destination import Network
from m10actors.delivery.errors import NotReached

Address = IPv4Address | IPv6Address


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, text.split()))


# Metadata services of clouds and link-local addresses: closed even where `allow_networks` would open them.
_NEVER = _networks("169.254.0.0/16 100.100.100.200 168.63.129.16 fe80::/10 fd00:ec2::254 fd20:ce::254")
_DENIED = _networks(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 "
    "3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8"
)
_LAST_32_BITS = _networks("::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96")
_6TO4 = ip_network("2002::/16")


class AddressDenied(NotReached):
    """The guard denies an address of the destination."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"address_not_allowed: {address}")
        self.address = address


def check(addresses: Iterable[Address], allowed: Iterable[Network]) -> None:
    """AddressDenied for the first of `addresses` that may not be called; `allowed` opens what is denied by default."""
    opened = tuple(allowed)
    for address in addresses:
        faces = (address, *_embedded(address))
        if any(_within(face, _NEVER) for face in faces):
            raise AddressDenied(address)
        if _within(address, _DENIED) and not _within(address, opened):
            raise AddressDenied(address)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _embedded(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 address that an IPv6 address may lead to: mapped, compatible, translated, NAT64, 6to4."""
    if isinstance(address, IPv4Address):
        return ()
    if _within(address, _LAST_32_BITS):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    if address in _6TO4:
        return (IPv4Address(int(address) >> 80 & 0xFFFFFFFF),)
    return ()
