# Starting, finding and stopping the processes. Sourced by local-up-cluster.sh.

# The process of a component, or nothing. A pid file alone proves nothing: the pid may be another's.
pid_of() {
	local pid
	pid=$(cat "$STATE/pids/$1.pid" 2>/dev/null) || return 1
	[[ $(readlink "/proc/$pid/exe" 2>/dev/null) == $(cat "$STATE/pids/$1.exe" 2>/dev/null)* ]] && echo "$pid"
}

# start NAME BINARY FLAGS...: starts it unless it runs with just this command line; DIR/cmd/NAME has
# it, to be read and repeated.
start() {
	local name=$1 binary=$2 command
	shift 2
	binary=$(readlink -f "${COMPONENT_PATH[$name]:-$binary}") || fail "$name: no such binary"
	[[ -x $binary ]] || fail "$name: $binary is not there: run without --no-build"
	command=$(printf '#!/bin/sh\nexec %s' "$(printf '%q ' "$binary" "$@")")
	if pid_of "$name" >/dev/null; then
		if [[ $command == "$(cat "$STATE/cmd/$name")" ]]; then return; fi
		stop "$name"
	fi
	printf '%s\n' "$command" >"$STATE/cmd/$name"
	chmod 0755 "$STATE/cmd/$name"
	step "starting $name"
	printf '%s' "$binary" >"$STATE/pids/$name.exe"
	setsid "$STATE/cmd/$name" >>"$STATE/logs/$name.log" 2>&1 </dev/null &
	echo $! >"$STATE/pids/$name.pid"
}

stop() {
	local name=$1 pid tries
	if pid=$(pid_of "$name"); then
		step "stopping $name"
		kill -TERM "$pid" 2>/dev/null || true
		for ((tries = 0; tries < 200; tries++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -f "$STATE/pids/$name.pid" "$STATE/pids/$name.exe"
}

# await SECONDS WHAT NAME COMMAND...: until the command succeeds; ends early when NAME has died.
await() {
	local limit=$1 what=$2 name=$3 end=$((SECONDS + $1))
	shift 3
	until "$@" >/dev/null 2>&1; do
		if [[ -n $name ]] && ! pid_of "$name" >/dev/null; then
			tail -n 20 "$STATE/logs/$name.log" >&2
			fail "$name died while waiting for $what, see $STATE/logs/$name.log"
		fi
		if ((SECONDS > end)); then
			[[ -n $name ]] && tail -n 20 "$STATE/logs/$name.log" >&2
			fail "$what: not after $limit s, see $STATE/logs"
		fi
		sleep 0.2
	done
}

# Fails when any process of the cluster has ended. Those of an earlier run are not our children, so
# they are looked at; the pause is a child that a signal interrupts.
wait_for_a_dead_process() {
	local name
	while true; do
		for name in "$STATE"/pids/*.pid; do
			name=$(basename "$name" .pid)
			pid_of "$name" >/dev/null || fail "$name has ended, see $STATE/logs/$name.log"
		done
		sleep 2 &
		wait $! || true
	done
}
