"""Which IP addresses may be called: what a store's admin types must never reach the operator's own network.

An explicit list rather than the standard library's `is_private`, which follows the interpreter's version and has missed
ranges (https://github.com/python/cpython/issues/113171). Refused is every block of the IANA special-purpose registries,
also the few that are globally reachable but never the address of a tool:
https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

# Network -> why it is refused, with the source.
REFUSED_IPV4: dict[IPv4Network, str] = {
    IPv4Network(network): reason
    for network, reason in {
        "0.0.0.0/8": "this network; 0.0.0.0 reaches the own machine (RFC 791)",
        "10.0.0.0/8": "private (RFC 1918)",
        "100.64.0.0/10": "shared by carriers (RFC 6598); Alibaba's metadata service at 100.100.100.200",
        "127.0.0.0/8": "loopback (RFC 1122)",
        "168.63.129.16/32": "Azure's platform service (learn.microsoft.com, what-is-ip-address-168-63-129-16)",
        "169.254.0.0/16": "link-local (RFC 3927); the metadata service of most clouds at 169.254.169.254",
        "172.16.0.0/12": "private (RFC 1918)",
        "192.0.0.0/24": "protocol assignments (RFC 6890); Oracle's metadata service at 192.0.0.192",
        "192.0.2.0/24": "documentation, TEST-NET-1 (RFC 5737)",
        "192.31.196.0/24": "AS112, a sink for DNS (RFC 7535)",
        "192.52.193.0/24": "multicast tunnels, AMT (RFC 7450)",
        "192.88.99.0/24": "6to4 relays, withdrawn (RFC 7526)",
        "192.168.0.0/16": "private (RFC 1918)",
        "192.175.48.0/24": "AS112, a sink for DNS (RFC 7534)",
        "198.18.0.0/15": "benchmarks inside a network (RFC 2544)",
        "198.51.100.0/24": "documentation, TEST-NET-2 (RFC 5737)",
        "203.0.113.0/24": "documentation, TEST-NET-3 (RFC 5737)",
        "224.0.0.0/4": "multicast (RFC 5771)",
        "240.0.0.0/4": "reserved (RFC 1112)",
        "255.255.255.255/32": "broadcast (RFC 919)",
    }.items()
}

REFUSED_IPV6: dict[IPv6Network, str] = {
    IPv6Network(network): reason
    for network, reason in {
        "::/128": "unspecified; reaches the own machine (RFC 4291)",
        "::1/128": "loopback (RFC 4291)",
        "::/96": "IPv4-compatible: holds an IPv4 address (RFC 4291)",
        "::ffff:0:0/96": "IPv4-mapped: is an IPv4 address to the kernel (RFC 4291)",
        "::ffff:0:0:0/96": "IPv4-translated: holds an IPv4 address (RFC 2765)",
        "64:ff9b::/96": "NAT64: a translator turns it into an IPv4 address (RFC 6052)",
        "64:ff9b:1::/48": "NAT64 inside a network (RFC 8215)",
        "100::/64": "discard (RFC 6666)",
        "100:0:0:1::/64": "dummy prefix (RFC 9780)",
        "2001::/23": "protocol assignments (RFC 2928)",
        "2001::/32": "Teredo: holds an IPv4 address (RFC 4380)",
        "2001:2::/48": "benchmarks inside a network (RFC 5180)",
        "2001:10::/28": "ORCHID, withdrawn (RFC 4843)",
        "2001:20::/28": "ORCHIDv2 (RFC 7343)",
        "2001:db8::/32": "documentation (RFC 3849)",
        "2002::/16": "6to4: holds an IPv4 address (RFC 3056)",
        "2620:4f:8000::/48": "AS112, a sink for DNS (RFC 7534)",
        "3ffe::/16": "6bone, withdrawn (RFC 3701)",
        "3fff::/20": "documentation (RFC 9637)",
        "5f00::/16": "segment routing inside a network (RFC 9602)",
        "fc00::/7": "unique local (RFC 4193); metadata services at fd00:ec2::254 and fd20:ce::254",
        "fe80::/10": "link-local (RFC 4291)",
        "fec0::/10": "site-local, withdrawn (RFC 3879)",
        "ff00::/8": "multicast (RFC 4291)",
        # Global unicast is 2000::/3 and nothing else, https://www.iana.org/assignments/ipv6-address-space
        "::/3": "not global unicast (RFC 4291)",
        "4000::/2": "not global unicast (RFC 4291)",
        "8000::/1": "not global unicast (RFC 4291)",
    }.items()
}


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether this address belongs to the public internet, and so may be called.

    An IPv6 address with a zone (`fe80::1%eth0`) means something on one machine only: never public.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_IPV4)
    return address.scope_id is None and not any(address in network for network in REFUSED_IPV6)
