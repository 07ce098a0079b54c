"""What the Makefile runs: the environment, the tools, the embedded AWS API and the demo.

Each module is started as ``python -m scripts.NAME`` from the root of the clone. :mod:`scripts.environment`
needs the standard library only, because it runs before anything is installed.
"""
