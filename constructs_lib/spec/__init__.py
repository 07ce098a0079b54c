"""cluster.yaml as a typed, checked ClusterSpec."""
