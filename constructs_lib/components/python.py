"""Python 3 with venv on agents, for tasks that bring a program and no container."""

from __future__ import annotations

from constructs_lib.components.model import Component, Role

PYTHON = Component(
    name="python",
    summary="Python 3 with venv, for tasks without a container",
    roles=(Role.AGENT,),
    software=None,
    packages=("python3-venv",),
)
