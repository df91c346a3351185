# An own containerd: root, state and socket under the state directory. Sourced by local-up-cluster.sh.

start_runtime() {
	[[ -n $CONTAINERD_SOCKET ]] && return
	local dir=$STATE/containerd
	mkdir -p "$dir/cni" "$dir/certs.d"
	if $ISOLATED; then
		mkdir -p "$dir/certs.d/_default"
		# Port 9 of loopback refuses: a pull fails at once and asks nobody.
		printf 'server = "https://127.0.0.1:9"\n' >"$dir/certs.d/_default/hosts.toml"
	fi
	cat >"$dir/config.toml" <<-TOML
		version = 2
		root = "$dir/root"
		state = "$dir/state"
		disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

		[grpc]
		address = "$dir/containerd.sock"

		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "$PAUSE_IMAGE"
		stream_server_address = "127.0.0.1"
		# Without CAP_SYS_RESOURCE the kernel refuses scores below containerd's own.
		restrict_oom_score_adj = true

		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "$(cni_bin_dir)"
		conf_dir = "$dir/cni"

		[plugins."io.containerd.grpc.v1.cri".registry]
		config_path = "$dir/certs.d"
	TOML
	start containerd "$(command -v containerd)" --config "$dir/config.toml"
	await 30 "containerd's socket" containerd ctr -a "$RUNTIME_SOCKET" version
}
