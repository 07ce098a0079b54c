#!/bin/sh
# Makes a machine's root file system ($1) one that boots in the lab. Runs on the machine that builds the image.
set -eu
root=$1
here=$(dirname "$0")
install -m 755 "$here/lab-init" "$here/lab-devices" "$here/mkfs.ext4" "$root/usr/local/sbin/"
install -m 644 "$here/cloud.cfg" "$root/etc/cloud/cloud.cfg.d/99-lab.cfg"
install -D -m 644 "$here/chrony.conf" "$root/etc/systemd/system/chrony.service.d/lab.conf"
echo 'DAEMON_OPTS="-F 1 -x"' >"$root/etc/default/chrony"
# A service is there when the node files ask for it, and not because its package lies in the image.
for unit in docker.service docker.socket containerd.service docker-registry.service nginx.service prometheus.service \
    prometheus-node-exporter.service chrony.service rsyslog.service rpcbind.service rpcbind.socket nfs-client.target \
    zookeeper.service unattended-upgrades.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \
    fstrim.timer e2scrub_reap.service systemd-timesyncd.service; do
    systemctl --root="$root" disable "$unit" >/dev/null 2>&1 || true
done
systemctl --root="$root" mask getty@tty1.service console-getty.service systemd-udevd.service >/dev/null 2>&1
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/machine-id "$root"/etc/hostname "$root"/var/lib/dbus/machine-id
rm -rf "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/*
: >"$root/etc/machine-id"
mkdir -p "$root/srv/lab"
# Packages that a machine installs in the lab are thrown away with it: no need to wait for its disk.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/lab"
