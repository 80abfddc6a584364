from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.addresses import REFUSED_IPV4, REFUSED_IPV6, is_public

ipv4_numbers = st.integers(0, 2**32 - 1)


@st.composite
def addresses_of(draw: st.DrawFn, networks: Sequence[IPv4Network | IPv6Network]) -> IPv4Address | IPv6Address:
    network = draw(st.sampled_from(networks))
    return network[draw(st.integers(0, network.num_addresses - 1))]


class TestIsPublic:
    @pytest.mark.parametrize(
        "address",
        [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2400:cb00::1",
            "2a00:1450:4001:800::200e",
            "2003::1",
        ],
    )
    def test_addresses_of_the_internet_are_public(self, address: str) -> None:
        assert is_public(ip_address(address))

    @pytest.mark.parametrize(
        "address",
        [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2620:4f:8000::1",
            "3ffe::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ],
    )
    def test_special_addresses_are_not(self, address: str) -> None:
        assert not is_public(ip_address(address))

    @pytest.mark.parametrize("address", ["fe80::1%eth0", "2606:4700:4700::1111%eth0", "::1%lo"])
    def test_an_address_with_a_zone_is_not(self, address: str) -> None:
        assert not is_public(ip_address(address))

    @given(addresses_of(list(REFUSED_IPV4)))
    def test_no_address_of_a_listed_ipv4_network_is(self, address: IPv4Address) -> None:
        assert not is_public(address)

    @given(addresses_of(list(REFUSED_IPV6)))
    def test_no_address_of_a_listed_ipv6_network_is(self, address: IPv6Address) -> None:
        assert not is_public(address)

    @given(ipv4_numbers, st.sampled_from(["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::"]))
    def test_no_ipv6_address_that_holds_an_ipv4_address_at_its_end_is(self, number: int, prefix: str) -> None:
        assert not is_public(IPv6Address(int(IPv6Address(prefix)) + number))

    @given(ipv4_numbers)
    def test_no_6to4_or_teredo_address_is(self, number: int) -> None:
        assert not is_public(IPv6Address((0x2002 << 112) + (number << 80)))
        assert not is_public(IPv6Address((0x20010000 << 96) + number))

    @given(ipv4_numbers)
    def test_what_the_standard_library_holds_for_private_is_not(self, number: int) -> None:
        address = IPv4Address(number)
        assert not (is_public(address) and (address.is_private or address.is_reserved or address.is_multicast))

    @given(st.integers(0, 2**128 - 1))
    def test_an_ipv6_address_outside_of_global_unicast_is_not(self, number: int) -> None:
        assert number >> 125 == 1 or not is_public(IPv6Address(number))
