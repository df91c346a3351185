# Installs what is missing from the distribution. Sourced by local-up-cluster.sh.

# command=package, one line each: the command tells whether the package is needed.
REQUIRED_COMMANDS="
containerd=containerd
runc=runc
nft=nftables
iptables=iptables
conntrack=conntrack
ip=iproute2
mount=mount
sysctl=procps
kubectl=kubernetes-client
cc=gcc
make=make
"

install_packages() {
	local pair missing=()
	for pair in $REQUIRED_COMMANDS; do
		command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	[[ -x $(cni_bin_dir)/ptp ]] || missing+=(containernetworking-plugins)
	command -v cargo >/dev/null || ! $BUILD || fail "cargo is not on PATH: install Rust (https://rustup.rs)"
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null || fail "install these first: ${missing[*]}"
	step "installing ${missing[*]}"
	{
		apt-get update
		# Services must not start by themselves: the cluster runs its own containerd.
		RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
	} >"$STATE/apt.log" 2>&1 || fail "apt-get failed, see $STATE/apt.log"
}

# Debian and Ubuntu ship the plugins in /usr/lib/cni, upstream's archives in /opt/cni/bin.
cni_bin_dir() {
	if [[ -x /opt/cni/bin/ptp ]]; then echo /opt/cni/bin; else echo /usr/lib/cni; fi
}
