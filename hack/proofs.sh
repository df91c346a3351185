#!/usr/bin/env bash
# The long forms of the store's proofs, whose short forms run in `cargo test -p etcd-shim`:
#
#   hack/proofs.sh [minutes]        10 if nothing is said; about this long, building not counted
#
# Crash histories with new seeds, the model of many cases, kill -9 under load and concurrent clients of every engine
# whose histories are checked, and the fuzz targets. It ends with a table of counts, or with what was found wrong.
# What a fuzz target finds stays in CORTEN_PROOFS_STATE; the program of the target, built as usual, shows it again:
#   cargo run -p etcd-shim-fuzz --bin segment -- <file>
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
MINUTES=${1:-10}
[[ $MINUTES =~ ^[0-9]+$ ]] && ((MINUTES > 0)) || { echo "proofs: minutes must be a positive number" >&2 && exit 2; }
STATE=${CORTEN_PROOFS_STATE:-$(mktemp -d)}
mkdir -p "$STATE"
STATE=$(realpath "$STATE")
REPORT=$STATE/report
: >"$REPORT"
# Shares of the time, in hundredths: crashes, model, linearizability, kills, fuzzing.
seconds() { echo $((MINUTES * 60 * $1 / 100)); }
step() { printf '\n=== [%4ds] %s\n' "$SECONDS" "$*"; }

# Runs tests and keeps the lines that count.
prove() {
	local log=$STATE/log
	if ! nice cargo test -p etcd-shim "$@" >"$log" 2>&1; then
		tail -n 100 "$log"
		echo "proofs: it failed; all it said is in $log" >&2
		exit 1
	fi
	grep -o 'proof: .*' "$log" | tee -a "$REPORT"
}

step "building"
cargo test -q -p etcd-shim --no-run
cargo build -q -p etcd-shim -p etcd-shim-fuzz
BIN=${CARGO_TARGET_DIR:-target}/debug
# As cargo-fuzz does it, but with the stable compiler (no sanitizer of memory: there is no unsafe code).
COVERAGE="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
for what in inline-8bit-counters pc-table trace-compares; do
	COVERAGE+=" -Cllvm-args=-sanitizer-coverage-$what"
done
HOST=$(rustc -vV | sed -n 's/^host: //p')
FUZZ=${CORTEN_FUZZ_TARGET_DIR:-target/fuzz}
TARGETS="segment payload hint snapshot requests"
# Not the program that makes the corpus: only libFuzzer's own link with the coverage.
RUSTFLAGS="$COVERAGE --cfg fuzzing" CARGO_TARGET_DIR=$FUZZ nice cargo build -q --target "$HOST" -p etcd-shim-fuzz \
	$(printf -- '--bin %s ' $TARGETS)
SECONDS=0

step "the power goes, in every operation on the disk"
CORTEN_PROOF_SECONDS=$(seconds 20) prove --lib -- --nocapture tests::crash

step "a model with many cases"
PROPTEST_CASES=$((MINUTES * 20)) prove --lib -- --nocapture agrees_with_the_model

# One after the other: each has the machine to itself.
step "concurrent clients, restarts"
CORTEN_PROOF_SECONDS=$(seconds 6) prove --test it -- --nocapture --test-threads=1 linearizability::

step "kill -9 under load"
CORTEN_PROOF_SECONDS=$(seconds 10) prove --test it -- --nocapture --test-threads=1 kill::

step "fuzzing"
"$BIN/corpus" "$STATE/corpus"
for file in "$STATE"/corpus/snapshot/real-*; do
	# etcd's own format, made from each.
	"$BIN/etcd-shim" snapshot convert --skip-hash-check "$file" "$file.etcd" >/dev/null 2>&1 || true
	[[ ! -e $file.etcd ]] || truncate -s -32 "$file.etcd"
done
for target in $TARGETS; do
	log=$STATE/fuzz-$target
	# The limit of memory is what bounds an allocation that the input asks for.
	if ! nice "$FUZZ/$HOST/debug/$target" -max_total_time="$(seconds 4)" -max_len=65536 -rss_limit_mb=1024 -timeout=10 \
		-print_final_stats=1 -artifact_prefix="$STATE/found-$target-" "$STATE/corpus/$target" >"$log" 2>&1; then
		tail -n 60 "$log"
		echo "proofs: $target failed; the input is $(ls "$STATE"/found-"$target"-*)" >&2
		exit 1
	fi
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
	echo "proof: fuzz/$target executions=$runs edges=${covered#cov: } corpus=$(find "$STATE/corpus/$target" -type f | wc -l)" |
		tee -a "$REPORT"
done

step "proved"
awk '{
	name = $2; rest = ""
	for (field = 3; field <= NF; field++) { split($field, pair, "="); rest = rest sprintf("  %11s %s", pair[2], pair[1]) }
	printf "%-24s%s\n", name, rest
}' "$REPORT"
