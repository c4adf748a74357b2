"""Which addresses may be called. Pure: an address in, the reason against it out.

Ranges are those of the IANA registries for special purposes, as Python's ipaddress knows them; the addresses at which
clouds hand out credentials are listed here, because some of them are ordinary otherwise.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google Cloud, OpenStack, …
            "169.254.170.2",  # AWS, credentials of containers
            "169.254.170.23",  # AWS, identities of pods
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS, identities of pods
            "fd20:ce::254",  # Google Cloud
            "fd00:42::42",  # Scaleway
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "168.63.129.16",  # Azure's agent
        ),
    )
)
_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # Linux takes 0.0.0.0 for itself
_ENDING_IN_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))  # NAT64; IPv4-compatible
_LOW_BITS = 0xFFFFFFFF


def why_forbidden(address: Address, *, allow_private: bool) -> str | None:
    """Why an address must not be called, in words that follow "is"; None if it may. Addresses inside it count too."""
    address = IPv6Address(int(address)) if isinstance(address, IPv6Address) else address  # without a scope
    reasons = (_why_forbidden(each, allow_private=allow_private) for each in (address, *_inside(address)))
    return next((reason for reason in reasons if reason), None)


def _why_forbidden(address: Address, *, allow_private: bool) -> str | None:
    never = {
        "a cloud's metadata address": address in _METADATA,
        "a link-local address": address.is_link_local,
        "a multicast address": address.is_multicast,
        "no address of a host": address in _THIS_NETWORK or address.is_unspecified,
        "a reserved address": address.is_reserved and not address.is_loopback and not _inside(address),
    }
    unless_allowed = {
        "a loopback address": address.is_loopback,
        "a private address": _is_site_local(address) or not (address.is_global or _inside(address)),
    }
    if reason := _first_true(never):
        return reason
    reason = None if allow_private else _first_true(unless_allowed)
    return reason and f"{reason}, which needs ALLOW_PRIVATE_TARGETS"


def _is_site_local(address: Address) -> bool:
    """What private addresses of IPv6 were once; ipaddress calls them global."""
    return isinstance(address, IPv6Address) and address.is_site_local


def _first_true(claims: dict[str, bool]) -> str | None:
    return next((claim for claim, is_true in claims.items() if is_true), None)


def _inside(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that packets to an IPv6 address may come to: mapped, compatible, NAT64, 6to4, Teredo."""
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return ()
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return address.teredo
    if any(address in network for network in _ENDING_IN_IPV4):
        return (IPv4Address(int(address) & _LOW_BITS),)
    return ()
