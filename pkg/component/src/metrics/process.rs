//! The `process_*` metrics of the Prometheus client libraries, read from `/proc/self`.

use prometheus::core::{Collector, Desc};
use prometheus::{Counter, Gauge, proto};

/// The unit of times in `/proc`: part of the kernel's interface, 100 on every Linux we run on.
const USER_HZ: f64 = 100.0;

/// Reads `/proc/self` when scraped.
pub(super) struct ProcessCollector {
    cpu: Counter,
    resident: Gauge,
    virtual_size: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    start: Gauge,
    threads: Gauge,
}

impl ProcessCollector {
    pub(super) fn new() -> Self {
        let gauge = |name: &str, help: &str| Gauge::new(name, help).expect("the name is valid");
        Self {
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "User and system CPU time spent, in seconds.",
            )
            .expect("the name is valid"),
            resident: gauge("process_resident_memory_bytes", "Resident memory, in bytes."),
            virtual_size: gauge("process_virtual_memory_bytes", "Virtual memory, in bytes."),
            open_fds: gauge("process_open_fds", "Open file descriptors."),
            max_fds: gauge("process_max_fds", "The limit of open file descriptors."),
            start: start_time_gauge(),
            threads: gauge("process_threads", "Operating system threads."),
        }
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.resident,
            &self.virtual_size,
            &self.open_fds,
            &self.max_fds,
            &self.start,
            &self.threads,
        ]
    }

    fn refresh(&self) -> Option<()> {
        let stat = Stat::read()?;
        let cpu = stat.field(14)? + stat.field(15)?;
        self.cpu.inc_by((cpu / USER_HZ - self.cpu.get()).max(0.0));
        self.threads.set(stat.field(20)?);
        self.virtual_size.set(stat.field(23)?);
        self.resident.set(resident()?);
        self.open_fds
            .set(std::fs::read_dir("/proc/self/fd").ok()?.count() as f64);
        let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        self.max_fds
            .set(limits.current.map_or(f64::INFINITY, |limit| limit as f64));
        Some(())
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        // Without /proc the values stay what they were.
        let _ = self.refresh();
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

/// `/proc/self/stat` behind the command name, which may hold spaces.
struct Stat(String);

impl Stat {
    fn read() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        Some(Self(text[text.rfind(')')? + 1..].to_owned()))
    }

    /// A field by its number in proc(5), from 3 on.
    fn field(&self, number: usize) -> Option<f64> {
        self.0.split_whitespace().nth(number - 3)?.parse().ok()
    }
}

/// `process_start_time_seconds`, set.
pub(super) fn start_time_gauge() -> Gauge {
    let help = "When the process started, in seconds since the epoch.";
    let gauge = Gauge::new("process_start_time_seconds", help).expect("the name is valid");
    gauge.set(start_time().unwrap_or(0.0));
    gauge
}

/// When this process started, in seconds since the epoch; unknown without `/proc`.
pub(super) fn start_time() -> Option<f64> {
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = boot
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(boot + Stat::read()?.field(22)? / USER_HZ)
}

/// `VmRSS` of proc(5), in bytes; the kernel prints KiB.
fn resident() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}
