"""What cdktf.json calls: `python -m stacks` synthesizes cluster.yaml, or the file that CLUSTERMESOS_FILE names."""

from __future__ import annotations

import sys

from constructs_lib.synth import main

sys.exit(main())
