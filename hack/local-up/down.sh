# Stopping everything and forgetting it. Sourced by local-up-cluster.sh.

cluster_down() {
	local name
	# The node first: nothing may start a container while they are being removed.
	for name in kubelet kube-proxy kube-scheduler kube-controller-manager kube-apiserver etcd-shim; do stop "$name"; done
	if [[ -x $BIN_DIR/kube-proxy ]]; then "$BIN_DIR/kube-proxy" --cleanup >/dev/null 2>&1 || true; fi
	remove_containers
	if [[ -z $CONTAINERD_SOCKET ]]; then
		stop containerd
		remove_shims
		remove_cni_chains
	fi
	remove_network
}

# Containers of an own containerd go with the cluster; those of a shared one are the kubelet's
# namespace `k8s.io` only, and are left alone.
remove_containers() {
	local id ctr=(ctr -a "$RUNTIME_SOCKET" -n k8s.io)
	[[ -z $CONTAINERD_SOCKET && -S $RUNTIME_SOCKET ]] || return 0
	step "removing containers"
	local namespaces=()
	for id in $("${ctr[@]}" containers list -q 2>/dev/null); do
		# The runtime makes a network namespace for each sandbox; nobody else removes it.
		namespaces+=($("${ctr[@]}" containers info "$id" 2>/dev/null | grep -o '/netns/cni-[0-9a-f-]*' | cut -d/ -f3 || true))
	done
	for id in $("${ctr[@]}" tasks list -q 2>/dev/null); do "${ctr[@]}" tasks kill --signal SIGKILL "$id" || true; done >/dev/null 2>&1
	for id in $("${ctr[@]}" tasks list -q 2>/dev/null); do "${ctr[@]}" tasks delete --force "$id" || true; done >/dev/null 2>&1
	for id in $("${ctr[@]}" containers list -q 2>/dev/null); do "${ctr[@]}" containers delete "$id" || true; done >/dev/null 2>&1
	for id in "${namespaces[@]}"; do ip netns delete "$id" 2>/dev/null || true; done
}

# A shim and its container outlive a containerd that was killed, or one that lost sight of them under load.
remove_shims() {
	local pid child namespace
	for pid in $(pgrep -f -- "^[^ ]*containerd-shim[^ ]* .*-address $RUNTIME_SOCKET( |\$)"); do
		for child in $(pgrep -P "$pid"); do
			namespace=$(ip netns identify "$child" 2>/dev/null || true)
			kill -KILL "$child" 2>/dev/null || true
			if [[ $namespace == cni-* ]]; then ip netns delete "$namespace" 2>/dev/null || true; fi
		done
		kill -KILL "$pid" 2>/dev/null || true
	done
}

# The sandboxes went without a call of their plugins: the chains that these made for each are left.
# A rule that names our network leads to them.
remove_cni_chains() {
	command -v iptables-save >/dev/null || return 0
	iptables-save -t nat 2>/dev/null | awk -v network='name: \\"corten\\"' '
		$1 == "-A" && ($2 == "POSTROUTING" || $2 ~ /^CNI-HOSTPORT-/) && index($0, network) {
			chain[$NF]
			sub(/^-A/, "-D")
			rules = rules $0 "\n"
		}
		END {
			print "*nat\n" rules
			for (name in chain) print "-F " name "\n-X " name
			print "COMMIT"
		}' | iptables-restore --noflush
}

forget_state() {
	step "forgetting $STATE"
	local mount
	# Volumes and snapshots that are still mounted below the state directory.
	while read -r mount; do umount -l "$mount" 2>/dev/null || true; done < <(awk -v dir="$STATE/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r)
	find "$STATE" -mindepth 1 -maxdepth 1 ! -name apt.log -exec rm -rf {} +
}
