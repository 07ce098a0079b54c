"""What every group of settings is: closed, frozen, and built when first used, so that imports are cheap."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """A group of settings in cluster.yaml; an unknown one is an error, and no error repeats a value."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)
