"""One cluster.yaml becomes a running Mesos platform; the packages below are the stages of that road."""
