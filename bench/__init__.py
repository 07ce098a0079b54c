"""`make bench`: how long a cold synth takes and how much memory it needs, beside the prebuilt AWS bindings.

measure.py runs one process tree. environments.py makes the bindings' virtual environments, program.py writes
their programs from our own stack, same.py proves that they make the same infrastructure, contenders.py says
who runs, rounds.py runs them in turn. deploys.py is the second experiment: cdktf deploy beside terraform
apply. report.py turns both into docs/performance.md. The command itself is scripts/bench.py.
"""
