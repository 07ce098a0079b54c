"""What cdktf.json calls: synthesizes cluster.yaml, or the file that CLUSTERMESOS_FILE names."""

from __future__ import annotations

import gc
import sys

from constructs_lib.terraform.engine import warm_engine

gc.disable()  # A run of half a second that ends leaves nothing to collect.
sys.setswitchinterval(0.001)  # What answers Node must not wait 5 ms for what is imported meanwhile.
warm_engine()  # Node starts while the rest is imported: 0.2 s.

from constructs_lib.synth import main  # noqa: E402

code = main()
gc.freeze()  # Nor does its end have to free every object by itself: 0.1 s.
sys.exit(code)
