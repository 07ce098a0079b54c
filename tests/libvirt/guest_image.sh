#!/bin/sh
# Makes a disk that a BIOS boots ($2, qcow2) of a Debian's root file system ($1), much as the clouds' images are.
set -eu
root=$1 image=$2
raw=$image.raw
mounted=$(mktemp -d)
# shellcheck disable=SC2317 # the trap calls it
clean() {
    ! mountpoint -q "$mounted" || umount "$mounted"
    rmdir "$mounted"
    rm -f "$raw"
}
trap clean EXIT
trap 'exit 1' INT TERM

# Each of these is there when our node files start it, and not because its package lies in the image.
for unit in docker.service docker.socket containerd.service docker-registry.service prometheus.service \
    prometheus-node-exporter.service chrony.service unattended-upgrades.service apt-daily.timer apt-daily-upgrade.timer; do
    systemctl --root="$root" disable "$unit" >/dev/null 2>&1 || true
done
systemctl --root="$root" enable systemd-networkd.service systemd-resolved.service >/dev/null 2>&1
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/dbus/machine-id "$root"/etc/hostname
: >"$root/etc/machine-id"
# The clouds' images say it too; cloud-init would set one that is not there.
echo LANG=C.UTF-8 >"$root/etc/default/locale"
echo 'LABEL=root / ext4 defaults 0 1' >"$root/etc/fstab"

start=1048576
truncate -s 3G "$raw"
echo '2048,,L,*' | sfdisk -q "$raw"
# extlinux reads neither of the two features.
mkfs.ext4 -q -F -L root -O '^64bit,^metadata_csum' -E "offset=$start" "$raw" 3071M
mount -o "loop,offset=$start" "$raw" "$mounted"
cp -a "$root/." "$mounted"
boot=$mounted/boot/extlinux
mkdir "$boot"
cat >"$boot/extlinux.conf" <<END
DEFAULT linux
LABEL linux
  KERNEL /boot/$(basename "$root"/boot/vmlinuz-*)
  INITRD /boot/$(basename "$root"/boot/initrd.img-*)
  APPEND root=LABEL=root ro console=ttyS0
END
extlinux --install "$boot" 2>/dev/null
umount "$mounted"
dd if=/usr/lib/EXTLINUX/mbr.bin of="$raw" conv=notrunc status=none
qemu-img convert -q -O qcow2 "$raw" "$image"
