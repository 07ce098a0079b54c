"""The floor: import the engine, synthesize a stack that holds nothing. `python empty.py ENGINE OUTDIR`."""

import importlib
import sys

engine = importlib.import_module(sys.argv[1])
app = engine.App(outdir=sys.argv[2])
engine.TerraformStack(app, "empty")
app.synth()
