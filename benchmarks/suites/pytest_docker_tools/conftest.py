"""pytest-docker-tools: fixture factories. It waits for listening ports, seen from within the container."""

from bench.suite import CONTAINERS, CONTEXT, IMAGE, TAG
from pytest_docker_tools import build, container

PORTS = {"80/tcp": ("127.0.0.1", None)}

fresh = container(image=IMAGE, ports=PORTS, scope="function")
built = build(path=CONTEXT, tag=TAG)
shared = container(image="{built.id}", ports=PORTS, scope="session")
for number in range(CONTAINERS):
    globals()[f"service_{number}"] = container(image=IMAGE, ports=PORTS, scope="session")


def url(running):
    return "http://{}:{}".format(*running.get_addr("80/tcp"))
