#!/usr/bin/env bash
# Brings up a whole cluster on this machine: containerd, etcd-shim, kube-apiserver,
# kube-controller-manager, kube-scheduler, kubelet and kube-proxy, one process each.
# A second run starts what is not running and keeps all state.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
	cat <<-TXT
		usage: hack/local-up-cluster.sh [options]
		  --detach                 return when the node is Ready (else: run until Ctrl-C, then stop)
		  --down                   stop every process and container of the cluster, keep its state
		  --clean                  forget the state first; with --down: stop and forget
		  --state DIR              state directory (default /var/lib/corten)
		  --etcd-servers URL       use this etcd instead of etcd-shim (https: with DIR/pki's certificates)
		  --containerd-socket PATH use a running containerd instead of an own one
		  --component NAME=PATH    use another binary for one component (upstream's flags)
		  --isolated               let no traffic of pods and no image pull leave this machine
		  --no-build               use the binaries of the last build
		  --profile NAME           cargo profile (default release)
	TXT
}

STATE=/var/lib/corten DETACH=false DOWN=false CLEAN=false BUILD=true ISOLATED=false
ETCD_SERVERS='' CONTAINERD_SOCKET='' PROFILE=${CORTEN_PROFILE:-release}
declare -A COMPONENT_PATH=()

while (($#)); do
	case $1 in
	--*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" && continue ;;
	--detach) DETACH=true ;;
	--down) DOWN=true ;;
	--clean) CLEAN=true ;;
	--no-build) BUILD=false ;;
	--isolated) ISOLATED=true ;;
	--state | --etcd-servers | --containerd-socket | --component | --profile)
		(($# > 1)) || { echo "$1 needs a value" >&2 && exit 64; }
		case $1 in
		--state) STATE=$2 ;;
		--etcd-servers) ETCD_SERVERS=$2 ;;
		--containerd-socket) CONTAINERD_SOCKET=${2#unix://} ;;
		--component) COMPONENT_PATH[${2%%=*}]=${2#*=} ;;
		--profile) PROFILE=$2 ;;
		esac
		shift
		;;
	-h | --help) usage && exit 0 ;;
	*) echo "unknown option $1" >&2 && usage >&2 && exit 64 ;;
	esac
	shift
done

((EUID == 0)) || { echo "a node needs root: sudo $0" >&2 && exit 1; }
mkdir -p -m 0755 "$STATE"
STATE=$(cd "$STATE" && pwd)

# What the parts below share. Addresses are those of a bridge of our own: a cluster survives a
# change of the machine's address, and nothing listens on the uplink.
NODE_NAME=$(hostname | tr '[:upper:]' '[:lower:]')
NODE_IP=10.88.0.1 NODE_NET=10.88.0.1/24 POD_CIDR=10.244.0.0/16
SERVICE_CIDR=10.96.0.0/16 SERVICE_IP=10.96.0.1
BRIDGE=corten0
RUNTIME_SOCKET=${CONTAINERD_SOCKET:-$STATE/containerd/containerd.sock}
export KUBECONFIG=$STATE/admin.kubeconfig
SECONDS=0
step() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }
fail() { printf 'local-up-cluster: %s\n' "$*" >&2 && exit 1; }

for part in packages build process network runtime components down; do
	# shellcheck source=/dev/null
	source "$ROOT/hack/local-up/$part.sh"
done

if $DOWN; then
	cluster_down
	if $CLEAN; then forget_state; fi
	exit 0
fi

install_packages
if $BUILD; then build_all; fi
if $CLEAN; then cluster_down && forget_state; fi
mkdir -p "$STATE"/{logs,pids,cmd,manifests,pod-logs,kubelet}
create_pki
setup_network
start_runtime
import_images
start_control_plane
start_node

step "the cluster is up"
cat <<TXT
  export KUBECONFIG=$KUBECONFIG
  kubectl apply -f $ROOT/manifests/examples/web.yaml
  logs: $STATE/logs   static pods: $STATE/manifests   stop: hack/local-up-cluster.sh --state $STATE --down
TXT
$DETACH && exit 0
trap 'trap - INT TERM; cluster_down; exit 0' INT TERM
wait_for_a_dead_process
