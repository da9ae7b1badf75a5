//! What a process takes of the memory, as Linux tells it; 0 elsewhere.

/// A line of a process's `/proc` status in KiB: `VmRSS` now, `VmHWM` at most so far. `process`: its id, or `self`.
pub fn kib(process: &str, what: &str) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}

/// The same in MiB.
pub fn mib(process: &str, what: &str) -> f64 {
    f64::from(kib(process, what)) / 1024.0
}
