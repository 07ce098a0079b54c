"""What cdktf.json calls: synthesizes cluster.yaml, or the file that CLUSTERMESOS_FILE names."""

from __future__ import annotations

import sys

from constructs_lib.terraform.engine import warm_engine

warm_engine()  # Node starts while the rest is imported: 0.2 s

from constructs_lib.synth import main  # noqa: E402

sys.exit(main())
