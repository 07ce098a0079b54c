"""Asks every routed application through every edge, as a visitor would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from constructs_lib.contracts.compiled import Compiled, CompiledContract, Route
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import FRONT, Instance
from constructs_lib.hooks.hook import Outcome, Verdict
from constructs_lib.hooks.http import Client
from constructs_lib.hooks.platform import Platform

ASK_SECONDS = 20.0
"""How long an edge may take to answer with 200: its last generation may be seconds old."""


def smoke_test(platform: Platform, compiled: Compiled, deadline: Deadline) -> Outcome:
    """One verdict for each route that names a smoke path; none where there is no edge."""
    fronts = [
        one
        for program, found in platform.endpoints.instances.items()
        if program.startswith(FRONT)
        for one in found
    ]
    if not fronts:
        return Outcome(hook="smoke test")
    return Outcome(
        hook="smoke test",
        verdicts=tuple(_verdict(platform, one, fronts, deadline) for one in _smoked(compiled)),
    )


def _smoked(compiled: Compiled) -> Iterator[CompiledContract]:
    return (one for one in compiled.contracts if one.route is not None and one.route.smoke is not None)


def _verdict(
    platform: Platform, contract: CompiledContract, fronts: list[Instance], deadline: Deadline
) -> Verdict:
    route = contract.route
    assert route is not None
    url = f"http://{route.host}{route.smoke}"
    for front in fronts:
        if trouble := _trouble(platform, route, front, deadline.within(ASK_SECONDS)):
            helps = f"clustermesos explain {contract.name}"
            return Verdict(
                kind="route",
                name=contract.name,
                good=False,
                says=f"{url} at {front.node}: {trouble}",
                try_next=helps,
            )
    edges = f"{len(fronts)} edge{'' if len(fronts) == 1 else 's'}"
    return Verdict(kind="route", name=contract.name, good=True, says=f"{url} answers 200 at {edges}")


def _trouble(platform: Platform, route: Route, front: Instance, deadline: Deadline) -> str | None:
    with closing(Client(platform.endpoints.one(FRONT, front), deadline)) as client:
        try:
            reply = client.ask("GET", route.smoke or "/", text=True, headers={"Host": route.host})
        except ApiError as error:
            return error.said
    return None if reply.status == 200 else f"{reply.status} where 200 is expected"
