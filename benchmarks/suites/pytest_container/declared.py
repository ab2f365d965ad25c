"""pytest-container: containers are values, and tests are parametrized with them."""

from datetime import timedelta
from pathlib import Path

from bench.suite import CONTEXT, IMAGE, WAIT, until_answers
from pytest_container import Container, DerivedContainer, PortForwarding
from pytest_container.container import EntrypointSelection

# A negative time switches off the waiting for the health check.
HOW = {"healthcheck_timeout": timedelta(seconds=-1)} if WAIT == "poll" else {}
LOCAL = f"containers-storage:{IMAGE}"


def ports():
    return [PortForwarding(container_port=80, bind_ip="127.0.0.1")]


def service(number=0):
    # Equal containers are one and the same, so each has something of its own.
    own = {"NUMBER": str(number)}
    return Container(
        url=LOCAL,
        entry_point=EntrypointSelection.IMAGE,
        forwarded_ports=ports(),
        extra_environment_variables=own,
        **HOW,
    )


def built():
    text = Path(CONTEXT, "Dockerfile").read_text()
    # The plugin writes FROM itself, and its context is pytest's root directory.
    instructions = "\n".join(line for line in text.splitlines() if not line.startswith(("FROM ", "COPY ")))
    return DerivedContainer(
        base=Container(url=LOCAL),
        containerfile=instructions,
        entry_point=EntrypointSelection.IMAGE,
        forwarded_ports=ports(),
        **HOW,
    )


def url(container):
    address = f"http://127.0.0.1:{container.forwarded_ports[0].host_port}"
    # It waits for a health check only.
    return until_answers(address)
