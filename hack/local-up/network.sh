# The node's address, forwarding, and the fence. Sourced by local-up-cluster.sh.

setup_network() {
	if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
		ip link add "$BRIDGE" type bridge
		ip address add "$NODE_NET" dev "$BRIDGE"
	fi
	ip link set "$BRIDGE" up
	sysctl -q -w net.ipv4.ip_forward=1
	# NodePorts on 127.0.0.1 and hairpins through the pods' interfaces need a loose path filter.
	sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	if $ISOLATED; then setup_fence; fi
}

# What pods send may reach pods and this node, nothing else.
setup_fence() {
	nft -f - <<-RULES
		table inet corten-fence
		delete table inet corten-fence
		table inet corten-fence {
			chain forward {
				type filter hook forward priority filter - 5; policy accept;
				ip saddr $POD_CIDR ip daddr != { $POD_CIDR, $NODE_NET, $SERVICE_CIDR } reject with icmpx admin-prohibited
			}
		}
	RULES
}

# One interface pair for each pod and a route: all traffic is routed, so Service rules see it.
write_cni_config() {
	local pod_cidr=$1 dir=$STATE/containerd/cni
	mkdir -p "$dir"
	cat >"$dir/.corten.conflist" <<-JSON
		{
		  "cniVersion": "0.4.0",
		  "name": "corten",
		  "plugins": [
		    {
		      "type": "ptp",
		      "ipMasq": true,
		      "ipam": {
		        "type": "host-local",
		        "dataDir": "$STATE/containerd/ipam",
		        "ranges": [[{"subnet": "$pod_cidr"}]],
		        "routes": [{"dst": "0.0.0.0/0"}]
		      }
		    },
		    {"type": "portmap", "capabilities": {"portMappings": true}}
		  ]
		}
	JSON
	mv "$dir/.corten.conflist" "$dir/10-corten.conflist"
}

remove_network() {
	nft delete table inet corten-fence 2>/dev/null || true
	ip link delete "$BRIDGE" 2>/dev/null || true
}
