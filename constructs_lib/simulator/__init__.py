"""Doubles of the programs that no registry has, for the lab: they start, listen, elect, and run no task.

========================  ==============  ===================================================================
program                   port            what its double does
========================  ==============  ===================================================================
mesos-master              5050            reads flags, credentials, ACLs; elects a leader, counts its quorum
mesos-agent               5051            checkpoints its resources, registers with the leading master
marathon                  8080            elects a leader, registers as a framework, keeps apps in ZooKeeper
chronos                   4400            the same with jobs
registrator               none            registers published ports of Docker's containers at Consul
========================  ==============  ===================================================================

``python -m constructs_lib.simulator.build OUT`` makes what a lab node needs (:mod:`.build` says what lies
where). ``CLUSTERMESOS_REAL=DIR`` names a folder with real binaries; :func:`.programs.programs` says which
program is real and which a double. docs/doubles.md says what the doubles can't prove.

:mod:`.cluster` is the simulator, which is no double: APIs over tasks that live (docs/simulator.md).
"""
