"""How what somebody says changes a deployment's progress."""

from __future__ import annotations

from dataclasses import replace

from constructs_lib.hooks.observed import Progress


def forgiven(progress: Progress, version: str) -> Progress:
    """The same, with nothing held against a version: what somebody asks for who wants it tried again."""
    return replace(progress, refused={name: why for name, why in progress.refused.items() if name != version})


def promoted(progress: Progress, now: float) -> Progress:
    """The same, with its canary let through; its deadlines begin anew."""
    return replace(progress, promoted=True, progressed=now)


def paused(progress: Progress) -> Progress:
    """The same, halted where it is until somebody resumes it."""
    return replace(progress, paused=True)


def resumed(progress: Progress, now: float) -> Progress:
    """The same, going on; its deadlines begin anew."""
    return replace(progress, paused=False, progressed=now)
