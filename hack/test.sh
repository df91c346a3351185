#!/usr/bin/env bash
# Every check of the project, in the order of their cost. On a fresh Debian or Ubuntu machine with
# Rust and root it installs what it needs. What CI runs is what a laptop runs.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
SECONDS=0
step() { printf '\n=== [%4ds] %s\n' "$SECONDS" "$*"; }
fail() { printf 'test: %s\n' "$*" >&2 && exit 1; }

((EUID == 0)) || fail "the suites start containers: run as root (sudo hack/test.sh)"

# The suites use the binaries of the dev profile: one build serves all of them.
export CORTEN_PROFILE=${CORTEN_PROFILE:-dev}
export CORTEN_E2E_STATE=${CORTEN_E2E_STATE:-/var/lib/corten-e2e}
BUILD=true STATE=$CORTEN_E2E_STATE PROFILE=$CORTEN_PROFILE
mkdir -p "$STATE"
# shellcheck source=/dev/null
source hack/local-up/packages.sh
# The contract suite runs over Debian's etcd too.
REQUIRED_COMMANDS+="
etcd=etcd-server
etcdctl=etcd-client
git=git
"
# The suite uses what kubectl learnt until then (wait for a jsonpath, create token).
MIN_KUBECTL_MINOR=28
step "packages"
install_packages

step "formatting"
cargo fmt --all --check

step "clippy"
cargo clippy --workspace --all-targets --quiet -- -D warnings

step "tidy"
cargo run --quiet -p xtask -- tidy
cargo run --quiet -p xtask -- schema --check

step "unit, contract and component tests"
cargo test --workspace --exclude e2e

step "end-to-end tests"
cleanup() {
	hack/local-up-cluster.sh --state "$STATE" --down --clean >/dev/null 2>&1 || true
	# The etcd of the suite on_etcd.
	kill "$(cat "$STATE-etcd.pid" 2>/dev/null)" 2>/dev/null || true
	rm -rf "$STATE-etcd.pid" "$STATE-etcd"
}
trap cleanup EXIT
cleanup
hack/local-up-cluster.sh --state "$STATE" --isolated --detach
if ! cargo test -p e2e; then
	step "the ends of the logs"
	tail -n 40 "$STATE"/logs/*.log || true
	exit 1
fi
step "all tests passed"
