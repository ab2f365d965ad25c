"""Verbs on a swarm: its services with their tasks, secrets and configs."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from pytest_dockerkit._engine.log_stream import LogStream
from pytest_dockerkit._engine.removing import losing_their_names
from pytest_dockerkit._engine.translate import translated
from pytest_dockerkit._engine.wire import ask, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_dockerkit._engine.client import Client
    from pytest_dockerkit._engine.wire import Wire

Json = dict[str, Any]


class Swarm:
    """Verbs on the swarm that an engine is a manager of."""

    def __init__(self, wire: Wire, client: Client) -> None:
        self._wire = wire
        self._client = client

    def state(self) -> tuple[str, bool]:
        """Say what it is in a swarm: inactive, pending, active, error or locked; and whether it manages that."""
        with translated("say whether it is in a swarm"):
            swarm = ask(self._wire, "GET", "/info").get("Swarm") or {}
        return str(swarm.get("LocalNodeState") or "inactive"), bool(swarm.get("ControlAvailable"))

    def init(self, address: str, labels: Mapping[str, str]) -> None:
        """Make a swarm of this engine alone, which has labels."""
        spec = {"Name": "default", "Labels": dict(labels)}
        body = {"ListenAddr": f"{address}:0", "AdvertiseAddr": address, "Spec": spec}
        with translated("make a swarm"):
            ask(self._wire, "POST", "/swarm/init", body=body)

    def losing_their_names(self, run_id: str) -> list[str]:
        """Give the containers, but for those of a run, whose names would be lost if a swarm was left."""
        return losing_their_names(self._wire, run_id)

    def create(self, body: Json) -> str:
        """Create a service, and give its id."""
        with translated(f"create the service {body['Name']}"):
            return str(ask(self._wire, "POST", "/services/create", body=body)["ID"])

    def inspect(self, service: str) -> Json:
        """Say all that the swarm knows of a service."""
        with translated(f"inspect the service {service}"):
            found: Json = ask(self._wire, "GET", path_of("services", service))
            return found

    def update(self, service: str, spec: Json, version: int, *, rollback: bool = False) -> None:
        """Change a service, or take it back to what it was before the last change."""
        query = {"version": version, "rollback": "previous" if rollback else None}
        with translated(f"update the service {service}"):
            ask(self._wire, "POST", path_of("services", service, "update"), query=query, body=spec)

    def tasks(self, service: str) -> list[Json]:
        """Give the tasks of a service, those that have ended among them."""
        filters = json.dumps({"service": [service]})
        with translated(f"list the tasks of {service}"):
            found: list[Json] = ask(self._wire, "GET", "/tasks", query={"filters": filters})
            return found

    def logs(self, service: str, *, tail: int | None = None) -> bytes:
        """Give what all tasks of a service have printed."""
        kind = ("services", service, "logs")
        return b"".join(LogStream(self._wire, self._client, service, follow=False, tail=tail, path=path_of(*kind)))

    def store(self, kind: str, name: str, content: bytes, labels: Mapping[str, str]) -> str:
        """Have the swarm keep a secret or a config, and give its id."""
        body = {"Name": name, "Labels": dict(labels), "Data": base64.b64encode(content).decode()}
        with translated(f"keep the {kind} {name}"):
            return str(ask(self._wire, "POST", f"/{kind}s/create", body=body)["ID"])
