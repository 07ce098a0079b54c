"""Neutral sizes (cpus, memory_gib) as EC2 instance types.

Current generation, x86-64, in every commercial region: t3.small (the only burstable one: a gateway), c7i (2
GiB per vCPU), m7i (4), r7i (8). Sizes are from https://aws.amazon.com/ec2/instance-types/.
"""

from __future__ import annotations

from dataclasses import dataclass

from constructs_lib.errors import SpecError


@dataclass(frozen=True, order=True)
class Size:
    """One instance type; ordered by vCPUs, then memory, so that the first that fits is the smallest."""

    cpus: int
    memory_gib: int
    name: str


def _family(name: str, gib_per_cpu: int) -> tuple[Size, ...]:
    steps = {
        "large": 2,
        "xlarge": 4,
        "2xlarge": 8,
        "4xlarge": 16,
        "8xlarge": 32,
        "12xlarge": 48,
        "16xlarge": 64,
        "24xlarge": 96,
        "48xlarge": 192,
    }
    return tuple(Size(cpus, cpus * gib_per_cpu, f"{name}.{step}") for step, cpus in steps.items())


SIZES: tuple[Size, ...] = tuple(
    sorted(
        (
            Size(2, 2, "t3.small"),
            *_family("c7i", 2),
            *_family("m7i", 4),
            *_family("r7i", 8),
        )
    )
)
"""From the smallest to the largest."""


def instance_type(cpus: int, memory_gib: int, override: str | None, *, path: str) -> str:
    """The smallest type with at least that many vCPUs and GiB; `override` wins.

    SpecError naming the largest type when none is large enough; `path` is the setting, `sites.eu.masters`.
    """
    if override:
        return override
    for size in SIZES:
        if size.cpus >= cpus and size.memory_gib >= memory_gib:
            return size.name
    largest = max(SIZES)
    by_memory = max(SIZES, key=lambda size: size.memory_gib)
    raise SpecError(
        path,
        f"{cpus} cpus and {memory_gib} GiB",
        f"at most {largest.cpus} cpus and {by_memory.memory_gib} GiB ({by_memory.name}), "
        "or another type by its own name in `instance_type`",
    )
