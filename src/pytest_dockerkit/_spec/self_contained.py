"""Whether two containers of one spec can run side by side, and neither notices. Pure.

A container that is made before its test runs beside the one of the test before it. What both would hold, or what both
would see, forbids that. What is not known to be harmless counts as harmful.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_dockerkit._spec.container import ContainerSpec
from pytest_dockerkit._spec.network import INTERNAL, ISOLATED, NetworkRequest, NetworkSpec
from pytest_dockerkit._values import FrozenMapping

#: Where the probes are that remember nothing from one look to the next.
_PROBES = "pytest_dockerkit.probes"

#: Capabilities that reach no further than the container's own namespaces: Docker's default ones first. Of the others,
#: most change something of the whole machine: its clock, its modules, its settings.
#: Source: capabilities(7); moby, oci/caps/defaults.go.
_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
        "IPC_LOCK",
        "IPC_OWNER",
        "LEASE",
        "LINUX_IMMUTABLE",
        "NET_ADMIN",
        "NET_BROADCAST",
        "SYS_NICE",
        "SYS_PTRACE",
    ]
)

#: Limits that the kernel counts for a user of the whole machine, and not for a process: both containers share them.
#: Source: getrlimit(2), what it says of the "real user ID".
_LIMITS_OF_A_USER = ("memlock", "msgqueue", "nproc", "sigpending")

#: Drivers that make networks side by side as long as nothing of the host is named.
_DRIVERS = ("bridge", "ipvlan", "macvlan", "overlay")

#: Options of networks that name nothing of which there is one. "com.docker.network.bridge.name" does.
#: Source: Docker's documentation, bridge network driver, Options.
_NETWORK_OPTIONS = (
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.bridge.host_binding_ipv4",
    "com.docker.network.bridge.inhibit_ipv4",
    "com.docker.network.container_iface_prefix",
    "com.docker.network.driver.mtu",
)

#: Keys of HostConfig that bound or set something of this one container, whatever their value is.
#: Source: Engine API, HostConfig and Resources. The engine takes keys in any case; another case is unknown here.
_OPTIONS = frozenset(
    [
        "AutoRemove",
        "BlkioDeviceReadBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceWriteIOps",
        "BlkioWeight",
        "BlkioWeightDevice",
        "ConsoleSize",
        "CpuCount",
        "CpuPercent",
        "CpuPeriod",
        "CpuQuota",
        "CpuShares",
        "CpusetCpus",
        "CpusetMems",
        "CapDrop",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "ExtraHosts",
        "GroupAdd",
        "IOMaximumBandwidth",
        "IOMaximumIOps",
        "Init",
        "Isolation",
        "KernelMemory",
        "KernelMemoryTCP",
        "Memory",
        "MemoryReservation",
        "MemorySwap",
        "MemorySwappiness",
        "NanoCpus",
        "OomKillDisable",
        "OomScoreAdj",
        "PidsLimit",
        "PublishAllPorts",
        "ReadonlyRootfs",
        "RestartPolicy",
        "ShmSize",
        "StorageOpt",
        "Sysctls",
        "Tmpfs",
    ]
)

#: Logs that stay with the engine, each by its container.
_LOGS = ("json-file", "local", "none")

_Check = Callable[[ContainerSpec], bool]


def self_contained(spec: ContainerSpec) -> bool:
    """Tell whether a second container of this spec may run beside the first one, with its networks to itself."""
    return all(check is None or check(spec) for check in FIELDS.values())


def _probe_is_ours(probe: object) -> bool:
    inner = getattr(probe, "probes", ())
    return type(probe).__module__ == _PROBES and all(_probe_is_ours(each) for each in inner)


def _reaches_no_further(capabilities: Iterable[object]) -> bool:
    return all(str(each).upper().removeprefix("CAP_") in _CAPABILITIES for each in capabilities)


def _mounts_are_own(spec: ContainerSpec) -> bool:
    # A text is the name of a volume of the scope's own; None is one without a name.
    return all(each.source is None or isinstance(each.source, str) for each in spec.mounts)


def _limits_are_own(spec: ContainerSpec) -> bool:
    # The spec has made pairs of whatever was given; -1 is no limit.
    soft = {name.lower(): limit[0] if isinstance(limit, tuple) else limit for name, limit in spec.ulimits.items()}
    return all(soft.get(each, -1) == -1 for each in _LIMITS_OF_A_USER)


def _is_own_network(network: NetworkRequest) -> bool:
    if not isinstance(network, NetworkSpec):
        return network in (ISOLATED, INTERNAL, "bridge", "none")
    return (
        network.subnet is None
        and network.parent is None
        and network.driver in _DRIVERS
        and all(each in _NETWORK_OPTIONS for each in network.options)
    )


def _is_harmless_option(key: str, value: object) -> bool:
    if key == "CapAdd":
        return value is None or (isinstance(value, list | tuple) and _reaches_no_further(value))
    if key == "LogConfig":
        return isinstance(value, dict | FrozenMapping) and value.get("Type") in _LOGS
    return key in _OPTIONS


#: What each field must be like; None where no value of it matters to another container. A field that is not here is
#: an error of a test.
FIELDS: FrozenMapping[str, _Check | None] = FrozenMapping(
    {
        "image": None,
        # It is an alias, and goes with the networks.
        "name": None,
        "command": None,
        "entrypoint": None,
        "env": None,
        "env_file": None,
        "user": None,
        "workdir": None,
        "hostname": None,
        "ports": lambda spec: all(each.host_port is None for each in spec.published_ports),
        "healthcheck": None,
        # One of the user's own may keep what it has seen, and is asked by two threads.
        "wait": lambda spec: spec.wait is None or _probe_is_ours(spec.wait),
        "timeout": None,
        "cpus": None,
        "memory": None,
        "memory_swap": None,
        "pids": None,
        "shm_size": None,
        "ulimits": _limits_are_own,
        "cap_add": lambda spec: _reaches_no_further(spec.cap_add),
        "cap_drop": None,
        "privileged": lambda spec: not spec.privileged,
        "read_only": None,
        "security_opt": None,
        "devices": lambda spec: not spec.devices,
        "tmpfs": None,
        "volumes": _mounts_are_own,
        # Copied in, so each container has its own.
        "files": None,
        "secrets": None,
        "network": lambda spec: all(_is_own_network(each) for each in spec.networks),
        "aliases": None,
        "extra_hosts": None,
        # What it reaches may be what the test starts.
        "host_access": lambda spec: not spec.host_access,
        "labels": None,
        "platform": None,
        "init": None,
        "stop_signal": None,
        "stop_timeout": None,
        "depends_on": lambda spec: all(isinstance(each, str) for each in spec.depends_on),
        "pull": None,
        "docker_options": lambda spec: all(_is_harmless_option(*each) for each in spec.docker_options.items()),
    }
)
