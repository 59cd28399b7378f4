//! What the system knows of this process, by the names that all programs use for it.

use std::fs;

/// The system's numbers; what it does not tell is left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
}

/// Ticks in a second of the times in `/proc/*/stat`: part of Linux's interface, the same on every machine.
const TICKS: f64 = 100.0;

impl Process {
    /// Asks the system. It reads files that are never on a disk.
    pub(super) fn read() -> Self {
        let file = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let open_fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
        Self { open_fds, ..Self::parse(&file("stat"), &file("status"), &file("limits")) }
    }

    fn parse(stat: &str, status: &str, limits: &str) -> Self {
        let kilobytes =
            |name| Some(row(status, name)?.split_whitespace().next()?.parse::<u64>().ok()? * 1024);
        let limit = || row(limits, "Max open files")?.split_whitespace().next()?.parse().ok();
        Self {
            cpu_seconds: cpu_seconds(stat),
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            threads: row(status, "Threads:").and_then(|threads| threads.trim().parse().ok()),
            open_fds: None,
            max_fds: limit(),
        }
    }
}

fn row<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// The program's name, which is in brackets, may hold anything; the numbers come after the last bracket.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut numbers = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || numbers.next()?.parse::<u32>().ok().map(f64::from);
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_is_read() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 100 1000 20\n";
        let status = "Name:\ta\nVmSize:\t    2000 kB\nVmRSS:\t     100 kB\nThreads:\t5\n";
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        let wanted = Process {
            cpu_seconds: Some(3.0),
            resident_bytes: Some(102_400),
            virtual_bytes: Some(2_048_000),
            threads: Some(5),
            open_fds: None,
            max_fds: Some(1024),
        };
        assert_eq!(Process::parse(stat, status, limits), wanted);
    }

    #[test]
    fn what_is_not_told_is_left_out() {
        assert_eq!(Process::parse("", "VmRSS: many", "Max open files unlimited"), Process::default());
    }
}
