//! The numbers as a table: medians over the rounds.

use std::fmt::Write as _;

use crate::load::{Phase, Round};

/// What a phase comes to.
struct Figures {
    cpu_micros: f64,
    per_second: f64,
    resident_mib: f64,
    bytes: f64,
}

/// The table, and with two servers their ratios.
pub(crate) fn render(servers: &[&str], phases: &[&'static str], measured: &[Vec<Round>]) -> String {
    let mut text = String::from("server  operation      cpu/op     ops/s   bytes/op   RSS MiB\n");
    let mut figures: Vec<Vec<Figures>> = Vec::new();
    for (server, rounds) in servers.iter().zip(measured) {
        let mut own = Vec::new();
        for phase in phases {
            let numbers = summary(rounds, phase);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{:<7} {phase:<9} {:>11} {:>9.0} {:>10.0} {:>9.1}",
                server,
                time(numbers.cpu_micros),
                numbers.per_second,
                numbers.bytes,
                numbers.resident_mib,
            );
            own.push(numbers);
        }
        figures.push(own);
    }
    if let [a, b] = figures.as_slice() {
        text.push_str("\nB/A     operation      cpu/op     ops/s                   RSS\n");
        for (phase, (a, b)) in phases.iter().zip(a.iter().zip(b)) {
            let _ = writeln!(
                text,
                "        {phase:<9} {:>10.2}x {:>8.2}x {:>20.2}x",
                ratio(b.cpu_micros, a.cpu_micros),
                ratio(b.per_second, a.per_second),
                ratio(b.resident_mib, a.resident_mib),
            );
        }
    }
    text
}

fn summary(rounds: &[Round], phase: &str) -> Figures {
    let median = |value: &dyn Fn(&Phase) -> f64| {
        let mut values: Vec<f64> = rounds.iter().filter_map(|round| round.get(phase)).map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let operations = |phase: &Phase| f64::from(phase.operations.max(1));
    Figures {
        cpu_micros: median(&|phase| phase.cpu.as_secs_f64() * 1e6 / operations(phase)),
        per_second: median(&|phase| operations(phase) / phase.wall.as_secs_f64()),
        resident_mib: median(&|phase| phase.resident as f64 / (1024.0 * 1024.0)),
        bytes: median(&|phase| phase.bytes as f64 / operations(phase)),
    }
}

fn ratio(b: f64, a: f64) -> f64 {
    if a > 0.0 { b / a } else { f64::NAN }
}

fn time(micros: f64) -> String {
    if micros >= 10_000.0 {
        format!("{:.1} ms", micros / 1000.0)
    } else {
        format!("{micros:.1} us")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::summary;
    use crate::load::{Phase, Round};

    #[test]
    fn the_median_round_counts() {
        let round = |millis: u64| -> Round {
            let phase = Phase {
                operations: 100,
                wall: Duration::from_secs(1),
                cpu: Duration::from_millis(millis),
                bytes: 1000,
                resident: 1024 * 1024,
            };
            [("get", phase)].into()
        };
        let figures = summary(&[round(10), round(500), round(20)], "get");
        assert_eq!(
            (figures.cpu_micros.round(), figures.per_second, figures.bytes),
            (200.0, 100.0, 10.0)
        );
    }
}
