"""pytest-docker: a compose file, and one stack for each scope."""

import json
import os
from pathlib import Path

import pytest
from bench.suite import CONTAINERS, CONTEXT, IMAGE, WAIT, until_answers


@pytest.fixture(scope="session")
def docker_compose_file(tmp_path_factory):
    service = {"ports": ["127.0.0.1::80"], **({"build": CONTEXT} if CONTEXT else {"image": IMAGE})}
    services = {f"service-{number}": service for number in range(CONTAINERS)}
    # JSON is YAML. A compose file has a place of its own, and its project's name is the plugin's.
    path = Path(tmp_path_factory.mktemp("compose"), "compose.yml")
    path.write_text(json.dumps({"services": services}))
    return str(path)


if WAIT == "poll":

    @pytest.fixture(scope="session")
    def docker_setup():
        return ["up --build -d"]


@pytest.fixture(scope="session" if "BENCH_FRESH" not in os.environ else "function")
def urls(docker_ip, docker_services):
    found = [f"http://{docker_ip}:{docker_services.port_for(f'service-{n}', 80)}" for n in range(CONTAINERS)]
    # `up --wait` waits for a health check, and without one for nothing but the container's start.
    return [until_answers(each) for each in found]
