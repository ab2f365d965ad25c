"""testcontainers has no pytest plugin: containers in fixtures, with the waiting that its documentation names."""

from bench.suite import IMAGE, WAIT
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HealthcheckWaitStrategy, HttpWaitStrategy


def service(image=IMAGE):
    wait = HttpWaitStrategy(80, "/ready") if WAIT == "poll" else HealthcheckWaitStrategy()
    return DockerContainer(image).with_exposed_ports(80).waiting_for(wait)


def url(container):
    return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(80)}"
