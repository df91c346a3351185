# Builds the binaries and the images. Sourced by local-up-cluster.sh.

TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
case $PROFILE in dev) BIN_DIR=$TARGET_DIR/debug ;; *) BIN_DIR=$TARGET_DIR/$PROFILE ;; esac
IMAGE_TARGET=x86_64-unknown-linux-gnu
PAUSE_IMAGE=docker.io/corten/pause:1
WEB_IMAGE=docker.io/corten/web:1

build_all() {
	step "building the binaries (profile $PROFILE)"
	cargo build --manifest-path "$ROOT/Cargo.toml" --profile "$PROFILE" --quiet \
		-p etcd-shim -p kube-apiserver -p kube-controller-manager -p kube-scheduler -p kubelet -p kube-proxy -p xtask
	step "building the images"
	# Static, because an image holds nothing but its program.
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --manifest-path "$ROOT/Cargo.toml" --release --quiet \
		-p images --target "$IMAGE_TARGET" --target-dir "$TARGET_DIR/images"
	local from=$TARGET_DIR/images/$IMAGE_TARGET/release link links=()
	for link in cat echo env ls sleep exit write hostname get check tar test; do links+=(--link "/bin/$link=web"); done
	"$BIN_DIR/xtask" image --name "$PAUSE_IMAGE" --output "$TARGET_DIR/images/pause.tar" \
		--file "/pause=$from/pause" --entrypoint /pause
	"$BIN_DIR/xtask" image --name "$WEB_IMAGE" --output "$TARGET_DIR/images/web.tar" \
		--file "/bin/web=$from/web" "${links[@]}" --entrypoint /bin/web --cmd serve
	# A second tag of the same program, for rollouts.
	"$BIN_DIR/xtask" image --name "${WEB_IMAGE%:*}:2" --output "$TARGET_DIR/images/web2.tar" \
		--file "/bin/web=$from/web" "${links[@]}" --entrypoint /bin/web --cmd serve
}

create_pki() {
	[[ -x $BIN_DIR/xtask ]] || fail "$BIN_DIR has no binaries: run without --no-build"
	"$BIN_DIR/xtask" pki --dir "$STATE" --node "$NODE_NAME" --ip "$NODE_IP" --service-ip "$SERVICE_IP"
}

import_images() {
	local archive
	for archive in pause web web2; do
		ctr -a "$RUNTIME_SOCKET" -n k8s.io images import "$TARGET_DIR/images/$archive.tar" >>"$STATE/logs/images.log" 2>&1 ||
			fail "importing $archive.tar failed, see $STATE/logs/images.log"
	done
}
