# The command lines of the six components: upstream's flags only, so that --component can put
# upstream's binary in any place. Sourced by local-up-cluster.sh.

start_control_plane() {
	local pki=$STATE/pki
	if [[ -z $ETCD_SERVERS ]]; then
		ETCD_SERVERS=https://127.0.0.1:2379
		start etcd-shim "$BIN_DIR/etcd-shim" \
			--name="$NODE_NAME" \
			--data-dir="$STATE/etcd" \
			--listen-client-urls=https://127.0.0.1:2379 \
			--advertise-client-urls=https://127.0.0.1:2379 \
			--listen-metrics-urls=http://127.0.0.1:2381 \
			--cert-file="$pki/etcd/server.crt" \
			--key-file="$pki/etcd/server.key" \
			--trusted-ca-file="$pki/etcd/ca.crt" \
			--client-cert-auth=true
	fi
	start kube-apiserver "$BIN_DIR/kube-apiserver" \
		--advertise-address="$NODE_IP" \
		--bind-address="$NODE_IP" \
		--secure-port=6443 \
		--tls-cert-file="$pki/apiserver.crt" \
		--tls-private-key-file="$pki/apiserver.key" \
		--client-ca-file="$pki/ca.crt" \
		--allow-privileged=true \
		--authorization-mode=Node,RBAC \
		--enable-admission-plugins=NodeRestriction \
		--enable-bootstrap-token-auth=true \
		--etcd-servers="$ETCD_SERVERS" \
		--etcd-cafile="$pki/etcd/ca.crt" \
		--etcd-certfile="$pki/apiserver-etcd-client.crt" \
		--etcd-keyfile="$pki/apiserver-etcd-client.key" \
		--kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" \
		--kubelet-client-key="$pki/apiserver-kubelet-client.key" \
		--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname \
		--proxy-client-cert-file="$pki/front-proxy-client.crt" \
		--proxy-client-key-file="$pki/front-proxy-client.key" \
		--requestheader-client-ca-file="$pki/front-proxy-ca.crt" \
		--requestheader-allowed-names=front-proxy-client \
		--requestheader-username-headers=X-Remote-User \
		--requestheader-group-headers=X-Remote-Group \
		--requestheader-extra-headers-prefix=X-Remote-Extra- \
		--service-account-issuer=https://kubernetes.default.svc.cluster.local \
		--service-account-key-file="$pki/sa.pub" \
		--service-account-signing-key-file="$pki/sa.key" \
		--service-cluster-ip-range="$SERVICE_CIDR"
	await 60 "the API server" kube-apiserver kubectl get --raw=/readyz
	kubectl apply -f "$ROOT/manifests/rbac" >>"$STATE/logs/manifests.log" 2>&1 || fail "see $STATE/logs/manifests.log"

	start kube-controller-manager "$BIN_DIR/kube-controller-manager" \
		--kubeconfig="$STATE/controller-manager.kubeconfig" \
		--authentication-kubeconfig="$STATE/controller-manager.kubeconfig" \
		--authorization-kubeconfig="$STATE/controller-manager.kubeconfig" \
		--bind-address=127.0.0.1 \
		--client-ca-file="$pki/ca.crt" \
		--requestheader-client-ca-file="$pki/front-proxy-ca.crt" \
		--cluster-name=kubernetes \
		--allocate-node-cidrs=true \
		--cluster-cidr="$POD_CIDR" \
		--service-cluster-ip-range="$SERVICE_CIDR" \
		--cluster-signing-cert-file="$pki/ca.crt" \
		--cluster-signing-key-file="$pki/ca.key" \
		--root-ca-file="$pki/ca.crt" \
		--service-account-private-key-file="$pki/sa.key" \
		--use-service-account-credentials=true \
		--leader-elect=true
	start kube-scheduler "$BIN_DIR/kube-scheduler" \
		--kubeconfig="$STATE/scheduler.kubeconfig" \
		--authentication-kubeconfig="$STATE/scheduler.kubeconfig" \
		--authorization-kubeconfig="$STATE/scheduler.kubeconfig" \
		--bind-address=127.0.0.1 \
		--leader-elect=true
}

start_node() {
	write_node_config
	# What a kubelet started by this run reports; "Ready" of an earlier one proves nothing.
	NODE_REPORT_AFTER=
	if ! pid_of kubelet >/dev/null; then NODE_REPORT_AFTER=$(date -u +%Y-%m-%dT%H:%M:%SZ); fi
	start kubelet "$BIN_DIR/kubelet" \
		--kubeconfig="$STATE/kubelet.kubeconfig" \
		--config="$STATE/kubelet-config.yaml" \
		--root-dir="$STATE/kubelet" \
		--hostname-override="$NODE_NAME" \
		--node-ip="$NODE_IP"
	start kube-proxy "$BIN_DIR/kube-proxy" \
		--config="$STATE/kube-proxy-config.yaml" \
		--hostname-override="$NODE_NAME"

	local pod_cidr
	await 60 "the node's registration" kubelet kubectl get node "$NODE_NAME"
	if [[ -z $CONTAINERD_SOCKET ]]; then
		await 60 "the node's pod range" kube-controller-manager has_pod_cidr
		pod_cidr=$(kubectl get node "$NODE_NAME" -o 'jsonpath={.spec.podCIDR}')
		write_cni_config "$pod_cidr"
	fi
	await 120 "the node to be Ready" kubelet node_is_ready
}

has_pod_cidr() { [[ -n $(kubectl get node "$NODE_NAME" -o 'jsonpath={.spec.podCIDR}') ]]; }

node_is_ready() {
	local status heartbeat
	read -r status heartbeat < <(kubectl get node "$NODE_NAME" -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}') || true
	# Times of RFC 3339 in UTC sort as text.
	[[ $status == True && ! $heartbeat < $NODE_REPORT_AFTER ]]
}

write_node_config() {
	# Pods get no search path or server of this machine's network.
	printf 'nameserver 127.0.0.1\n' >"$STATE/resolv.conf"
	cat >"$STATE/kubelet-config.yaml" <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $NODE_IP
		authentication:
		  anonymous:
		    enabled: false
		  webhook:
		    enabled: true
		  x509:
		    clientCAFile: $STATE/pki/ca.crt
		authorization:
		  mode: Webhook
		cgroupDriver: cgroupfs
		clusterDomain: cluster.local
		containerRuntimeEndpoint: unix://$RUNTIME_SOCKET
		failCgroupV1: false
		failSwapOn: false
		podLogsDir: $STATE/pod-logs
		resolvConf: $STATE/resolv.conf
		staticPodPath: $STATE/manifests
	YAML
	cat >"$STATE/kube-proxy-config.yaml" <<-YAML
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: nftables
		clusterCIDR: $POD_CIDR
		bindAddress: $NODE_IP
		healthzBindAddress: 127.0.0.1:10256
		metricsBindAddress: 127.0.0.1:10249
		clientConnection:
		  kubeconfig: $STATE/kube-proxy.kubeconfig
	YAML
}
