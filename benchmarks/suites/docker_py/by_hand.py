"""docker-py with the fewest calls that do the job; its version of the API is given, so that it need not ask."""

import docker
from bench.suite import API_VERSION, until_answers


def client():
    return docker.from_env(version=API_VERSION).api


def start(api, image):
    ports = {80: ("127.0.0.1", None)}
    made = api.create_container(image, ports=[80], host_config=api.create_host_config(port_bindings=ports))["Id"]
    api.start(made)
    return made


def url(api, container):
    ports = api.inspect_container(container)["NetworkSettings"]["Ports"]
    return until_answers(f"http://127.0.0.1:{ports['80/tcp'][0]['HostPort']}")


def remove(api, container):
    api.remove_container(container, force=True, v=True)
