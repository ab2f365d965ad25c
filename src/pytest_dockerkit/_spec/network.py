"""Networks: what a container is connected to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_dockerkit._names import BUILT_IN, did_you_mean
from pytest_dockerkit._spec import checks
from pytest_dockerkit._spec.refs import External, FixtureRef, NetworkHandle
from pytest_dockerkit._values import FrozenMapping
from pytest_dockerkit.errors import SpecError, without_our_frames

ISOLATED = "isolated"
INTERNAL = "internal"
#: Drivers whose containers are machines of their own on the wire of an interface.
ON_A_WIRE = ("macvlan", "ipvlan")
WORDS = (ISOLATED, INTERNAL, *BUILT_IN)


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network that is made for its scope and removed at its end.

    Attributes:
        driver: Docker's network driver: bridge, macvlan, ipvlan, overlay, or a plugin's.
        internal: whether it has no way out of the machine.
        subnet: its addresses in CIDR form, such as "10.99.0.0/24"; None lets the engine choose.
        gateway: the host's address in it; needs `subnet`.
        parent: the host's interface below it (macvlan, ipvlan).
        attachable: whether plain containers may join it (overlay).
        ipv6: whether it has IPv6 addresses.
        options: the driver's options.
        labels: labels beside the plugin's own.

    Raises:
        SpecError: a value has the wrong type or contradicts another.
    """

    driver: str = "bridge"
    internal: bool = False
    subnet: str | None = None
    gateway: str | None = None
    parent: str | None = None
    attachable: bool = False
    ipv6: bool = False
    options: Mapping[str, str] = field(default_factory=FrozenMapping)
    labels: Mapping[str, str] = field(default_factory=FrozenMapping)

    @without_our_frames
    def __post_init__(self) -> None:
        checks.text("driver", self.driver, 'driver="bridge"')
        if self.driver in ("host", "none", "null"):
            raise SpecError(
                f"there is one {self.driver} network only, and the engine has it",
                saw=f"NetworkSpec(driver={self.driver!r})",
                mend=f'network="{"none" if self.driver == "null" else self.driver}"',
            )
        for name in ("internal", "attachable", "ipv6"):
            checks.flag(name, getattr(self, name))
        options = checks.text_mapping("options", self.options, 'options={"key": "value"}')
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "labels", checks.labels("labels", self.labels))
        for name, example in (("parent", "eth0"), ("subnet", "10.99.0.0/24"), ("gateway", "10.99.0.1")):
            if getattr(self, name) is not None:
                checks.text(name, getattr(self, name), f'{name}="{example}"')
        self._check_addresses()

    def _check_addresses(self) -> None:
        if self.subnet is None:
            if self.gateway is not None:
                raise SpecError(
                    "gateway= needs a subnet=", saw=f"gateway={self.gateway!r}", mend='subnet="10.99.0.0/24"'
                )
            return
        import ipaddress

        try:
            subnet = ipaddress.ip_network(self.subnet)
        except ValueError as failure:
            raise SpecError(
                "subnet= is not a network address",
                saw=f"subnet={self.subnet!r}: {failure}",
                mend='subnet="10.99.0.0/24"',
            ) from None
        if "/" not in self.subnet:
            raise SpecError(
                "subnet= has no prefix length", saw=f"subnet={self.subnet!r}", mend=f'subnet="{self.subnet}/24"'
            )
        if self.gateway is None:
            return
        try:
            inside = ipaddress.ip_address(self.gateway) in subnet
        except ValueError:
            inside = False
        if not inside:
            raise SpecError(
                "gateway= is no address of the subnet",
                saw=f"gateway={self.gateway!r}, subnet={self.subnet!r}",
                mend=f'gateway="{next(iter(subnet.hosts()))}"',
            )


NetworkRequest = str | NetworkSpec | External | NetworkHandle | FixtureRef


def parse_networks(written: object) -> tuple[NetworkRequest, ...]:
    """Read the value of `network=`: one network or a list of them.

    Raises:
        SpecError: a word is unknown, the list is empty, or networks in it exclude each other.
    """
    several = written if isinstance(written, list | tuple) else (written,)
    networks = tuple(_one(each) for each in several)
    if not networks:
        raise SpecError("network= is an empty list", saw="network=[]", mend='network="none" for no network')
    alone = [each for each in networks if each in ("host", "none")]
    if alone and len(networks) > 1:
        raise SpecError(
            f"network={alone[0]!r} goes with no other network",
            saw=f"network={list(networks)!r}",
            mend="name it alone",
        )
    if any(networks.count(each) > 1 for each in networks):
        raise SpecError("network= names one network twice", saw=f"{list(networks)!r}", mend="name each once")
    return networks


def _one(value: object) -> NetworkRequest:
    if isinstance(value, NetworkSpec | External | NetworkHandle | FixtureRef):
        return value
    if isinstance(value, str):
        if value in WORDS:
            return value
        meant = did_you_mean(value, WORDS)
        stop = "" if meant.endswith("?") else "."
        raise SpecError(
            "network= is not a network that is known",
            saw=f"network={value!r}",
            mend=f'{meant}{stop} Or external("{value}") for one that exists on the engine',
        )
    raise checks.wrong_type("network", value, 'network="isolated", a NetworkSpec or a network fixture')
