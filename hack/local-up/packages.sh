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
cc=gcc
make=make
"

install_packages() {
	local pair missing=()
	for pair in $REQUIRED_COMMANDS; do
		command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	[[ -x $(cni_bin_dir)/ptp ]] || missing+=(containernetworking-plugins)
	# A compiler comes without the C library's headers.
	[[ -e /usr/include/stdio.h ]] || missing+=(libc6-dev)
	kubectl_is_there || missing+=(kubectl)
	command -v cargo >/dev/null || ! $BUILD || fail "cargo is not on PATH: install Rust (https://rustup.rs)"
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null || fail "install these first: ${missing[*]}"
	step "installing ${missing[*]}"
	{
		apt-get update &&
			# Services must not start by themselves: the cluster runs its own containerd.
			RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]/#kubectl/debian-archive-keyring}" &&
			{ kubectl_is_there || install_kubectl; }
	} >"$STATE/apt.log" 2>&1 || fail "installing failed, see $STATE/apt.log"
}

# Whether kubectl is on PATH, at least as new as MIN_KUBECTL_MINOR asks (any will do when unset).
kubectl_is_there() {
	local minor
	minor=$(kubectl version --client -o json 2>/dev/null | sed -n 's/.*"minor": "\([0-9]*\).*/\1/p' | head -n 1)
	((${minor:-0} >= ${MIN_KUBECTL_MINOR:-1}))
}

# Debian 12 has kubectl 1.20 and Ubuntu none: this takes the one of Debian 13's package, which needs
# nothing but glibc 2.34, through lists of its own: the machine's sources stay as they are.
install_kubectl() {
	local dir=$STATE/kubectl-package apt
	mkdir -p "$dir/lists/partial"
	echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' >"$dir/sources.list"
	apt=(apt-get -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$dir/lists")
	"${apt[@]}" update && (cd "$dir" && "${apt[@]}" download kubectl) && dpkg-deb -x "$dir"/kubectl_*.deb "$dir/root" &&
		install -m 0755 "$dir/root/usr/bin/kubectl" /usr/local/bin/kubectl || return
	rm -rf "$dir"
	hash -r
	kubectl_is_there
}

# Debian and Ubuntu ship the plugins in /usr/lib/cni, upstream's archives in /opt/cni/bin.
cni_bin_dir() {
	if [[ -x /opt/cni/bin/ptp ]]; then echo /opt/cni/bin; else echo /usr/lib/cni; fi
}
