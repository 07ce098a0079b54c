#!/bin/sh
# Installs by apt the system programs that parts of the test run read generated files with (Debian 12, Ubuntu 24.04).
# The demo needs none of them. Without root nothing is installed, and the tests that miss a program are skipped by name.
set -eu

# program that proves the package is there : package
wanted='cloud-init:cloud-init nft:nftables shellcheck:shellcheck nginx:nginx-light java:openjdk-17-jre-headless
mvn:maven systemd-analyze:systemd ssh:openssh-client sshd:openssh-server gpg:gpg mkfs.ext4:e2fsprogs ip:iproute2 git:git curl:curl
openssl:openssl systemd-nspawn:systemd-container mmdebstrap:mmdebstrap mksquashfs:squashfs-tools dpkg-scanpackages:dpkg-dev
iptables:iptables unshare:util-linux chronyd:chrony rsyslogd:rsyslog logrotate:logrotate wg-quick:wireguard-tools
docker-registry:docker-registry htpasswd:apache2-utils promtool:prometheus amtool:prometheus-alertmanager restic:restic sysctl:procps pg_lsclusters:postgresql
libvirtd:libvirt-daemon-system virsh:libvirt-clients qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils dnsmasq:dnsmasq-base netplan:netplan.io
sfdisk:fdisk mount:mount extlinux:extlinux'

PATH="$PATH:/usr/sbin:/sbin"
missing=''
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
if [ -z "$missing" ]; then
    echo '==> system packages of the tests: up to date'
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "==> system packages of the tests: not installed (no root or no apt); tests that need them are skipped:$missing"
    exit 0
fi

root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$root/.clustermesos/logs"
chmod 700 "$root/.clustermesos"
log="$root/.clustermesos/logs/apt.log"
echo "==> system packages of the tests:$missing"
# A package must not start its service on the machine that only checks files with it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # the list is meant to be split
if ! { apt-get -o DPkg::Lock::Timeout=300 update &&
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    echo "!!! apt-get failed: $(grep '^E: ' "$log" | tail -n 1) (whole output: $log)" >&2
    exit 1
fi
