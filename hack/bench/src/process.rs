//! What the kernel knows about a process.

use std::time::Duration;

use anyhow::Context as _;

/// Times in `/proc/<pid>/stat` count hundredths of a second on every Linux we run on.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of these processes so far.
pub(crate) fn cpu(pids: &[u32]) -> anyhow::Result<Duration> {
    pids.iter().map(|pid| cpu_of(*pid)).sum()
}

fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    ticks(&text)
        .map(|ticks| TICK * ticks)
        .with_context(|| format!("/proc/{pid}/stat is malformed"))
}

/// utime + stime, fields 14 and 15; the command name before them may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    Some(fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?)
}

/// Resident bytes of these processes now.
pub(crate) fn resident(pids: &[u32]) -> anyhow::Result<u64> {
    pids.iter()
        .map(|pid| {
            let text =
                std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))
                .context("no VmRSS")?;
            let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS")?;
            Ok(kib * 1024)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn cpu_fields_are_found_behind_any_name() {
        let stat = "12 (a) b) S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 10";
        assert_eq!(super::ticks(stat), Some(300));
    }
}
