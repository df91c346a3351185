# An own containerd: root, state and socket under the state directory. Sourced by local-up-cluster.sh.

start_runtime() {
	[[ -n $CONTAINERD_SOCKET ]] && return
	local dir=$STATE/containerd
	mkdir -p "$dir/cni"
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
	TOML
	# Port 9 of loopback refuses: a pull fails at once, asks nobody and looks no name up.
	if $ISOLATED; then local -x HTTPS_PROXY=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9; fi
	start containerd "$(command -v containerd)" --config "$dir/config.toml"
	await 30 "containerd's socket" containerd ctr -a "$RUNTIME_SOCKET" version
}
