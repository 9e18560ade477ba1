# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts/demo and scripts/test: Debian 12's packages that they need, KUBE_PACKAGES with
# --kubernetes only. need PACKAGE... installs missing ones (as root). quietly COMMAND... shows the output of a command only when it fails.
# libmnl-dev: no source of ours includes it, but pkg-config finds libnftnl only beside it.

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libmnl-dev libjansson-dev liblmdb-dev
	libxxhash-dev libcurl4-openssl-dev libyaml-dev libnl-route-3-dev libnftnl-dev
	libsystemd-dev linux-libc-dev iproute2"
DEMO_PACKAGES="net-tools iputils-ping nftables bird2 etcd-server python3"
TEST_PACKAGES="libcmocka-dev spin clang clang-tidy libclang-rt-14-dev binutils strace jq procps
	containernetworking-plugins podman containerd runc conmon busybox-static ethtool iptables nftables
	curl ca-certificates openssl tcpdump python3-pytest python3-pytest-xdist python3-yaml
	python3-grpcio python3-protobuf protobuf-compiler golang-go
	golang-github-containerd-go-cni-dev qemu-system-x86 kmod ipvsadm conntrack debootstrap"
KUBE_PACKAGES="bind9-dnsutils netcat-openbsd socat iperf busybox-static curl wget openssl runc iptables conntrack
	containernetworking-plugins procps"

need() {
	local missing=() package
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
			missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "these packages are missing, and only root can install them: ${missing[*]}" >&2
		return 1
	fi
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq || true
	# No daemon starts because its package is installed: BIRD and etcd run in namespaces of ours.
	local policy=/usr/sbin/policy-rc.d made= status=0
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy && chmod 0755 $policy && made=1
	fi
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
	[ -z "$made" ] || rm -f $policy
	return $status
}

quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	[ $status -eq 0 ] || { cat "$log"; echo "failed with status $status: $*"; } >&2
	rm -f "$log"
	return $status
}
