"""A cluster on one machine: its nodes as systemd-nspawn machines, booted from what a deploy would send."""
