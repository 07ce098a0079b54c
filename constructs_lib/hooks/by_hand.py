"""What somebody says to a deployment that runs or waits: promote, pause, resume, try again.

Each is one write of the contract's document, so it reaches whichever process goes on with the deployment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from constructs_lib.errors import HookError
from constructs_lib.hooks import progress as changed
from constructs_lib.hooks.documents import ConflictError, Documents
from constructs_lib.hooks.observed import Progress

_TRIES = 5


def promote(documents: Documents, name: str, now: float) -> str:
    """Let the contract's canary through; the version. HookError where none waits."""

    def change(progress: Progress) -> Progress:
        if progress.canary_since is None or progress.promoted:
            raise HookError(f"{name}: no canary of version {progress.version} waits to be promoted")
        return changed.promoted(progress, now)

    return _changed(documents, name, change)


def pause(documents: Documents, name: str) -> str:
    """Halt the contract's deployment where it is; the version."""
    return _changed(documents, name, changed.paused)


def resume(documents: Documents, name: str, now: float) -> str:
    """Go on with one that was paused; the version. HookError where it is not paused."""

    def change(progress: Progress) -> Progress:
        if not progress.paused:
            raise HookError(f"{name}: its deployment of version {progress.version} is not paused")
        return changed.resumed(progress, now)

    return _changed(documents, name, change)


def refuse(documents: Documents, name: str, version: str, why: str) -> None:
    """Hold it against a version that it was rolled back: `apply` does not deploy it again by itself."""
    for _ in range(_TRIES):
        kept = documents.of(name)
        progress = replace(kept.progress, refused={**kept.progress.refused, version: why})
        try:
            documents.store_progress(name, progress, kept.progress_index)
        except ConflictError:
            continue
        return
    raise HookError(f"{name}: its deployment is changed all the time by somebody else; try again")


def _changed(documents: Documents, name: str, change: Callable[[Progress], Progress]) -> str:
    for _ in range(_TRIES):
        kept = documents.of(name)
        if kept.progress.done or kept.progress.version is None:
            raise HookError(f"{name}: nothing of it is being deployed; clustermesos status shows what runs")
        if kept.progress.turned is not None:
            raise HookError(f"{name}: version {kept.progress.version} goes back: {kept.progress.turned}")
        try:
            documents.store_progress(name, change(kept.progress), kept.progress_index)
        except ConflictError:
            continue
        return kept.progress.version
    raise HookError(f"{name}: its deployment is changed all the time by somebody else; try again")
