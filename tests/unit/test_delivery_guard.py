"""The address guard knows every notation and every range by itself."""

import socket
from ipaddress import ip_address, ip_network

import pytest

from m10actors.delivery.guard import AddressDenied, check
from m10actors.delivery.resolver import Resolver

EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))
DENIED = """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1
    192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 255.255.255.255
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 2001::1 2001:db8::1
    3fff::1 fc00::1 fd12::1 fe80::1 fe80::1%1 fec0::1 ff02::1
"""
NEVER = """
    169.254.169.254 169.254.0.1 100.100.100.200 168.63.129.16 fe80::1 fd00:ec2::254 fd20:ce::254
    ::ffff:169.254.169.254 ::169.254.169.254 ::ffff:0:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1
"""


def is_allowed(address: str, *networks: str) -> bool:
    try:
        check([ip_address(address)], map(ip_network, networks))
    except AddressDenied:
        return False
    return True


@pytest.mark.parametrize("address", DENIED.split())
def test_what_is_not_on_the_internet_is_denied(address: str) -> None:
    assert not is_allowed(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address)


def test_a_destination_can_open_a_network_of_its_own() -> None:
    assert is_allowed("10.1.2.3", "192.168.0.0/16", "10.0.0.0/8")
    assert not is_allowed("10.1.2.3", "192.168.0.0/16")
    assert is_allowed("::1", "::1/128")


@pytest.mark.parametrize("address", NEVER.split())
def test_metadata_and_link_local_stay_closed_whatever_is_opened(address: str) -> None:
    with pytest.raises(AddressDenied):
        check([ip_address(address)], EVERYTHING)


def test_one_denied_address_among_several_is_enough() -> None:
    with pytest.raises(AddressDenied, match=r"127\.0\.0\.1"):
        check([ip_address("8.8.8.8"), ip_address("127.0.0.1")], ())


@pytest.mark.parametrize(
    "host",
    ["127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.0.0.1", "１２７.１"],
)
def test_every_notation_of_an_address_is_seen_as_the_address_it_is(host: str) -> None:
    found = Resolver().resolve(host, 443, timeout=10)
    assert found.literal
    assert [str(place.address) for place in found.places] == ["127.0.0.1"]


def test_a_notation_of_ipv6_is_no_way_around() -> None:
    found = Resolver().resolve("::ffff:127.0.0.1", 443, timeout=10)
    assert found.places[0].family == socket.AF_INET6
    with pytest.raises(AddressDenied):
        check([place.address for place in found.places], ())
