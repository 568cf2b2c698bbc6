//! Which process owns something, and whether that very process still runs.

use serde::{Deserialize, Serialize};

/// A process as written into a lease or a job's folder. The start time tells it from a later
/// process that was given the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Process number on `host`.
    pub pid: u32,
    /// Name of the machine.
    pub host: String,
    /// Start time in the kernel's clock ticks since boot, where the system tells it.
    #[serde(default)]
    pub start: Option<u64>,
}

/// What is known of a [`Process`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs on this machine.
    Alive,
    /// It ran on this machine and is gone, or its number belongs to another process now.
    Dead,
    /// It ran on another machine, or the system tells nothing.
    Unknown,
}

impl Process {
    /// This process.
    pub fn current() -> Self {
        Self::of(std::process::id())
    }

    /// The process with this number on this machine, as it is now.
    pub fn of(pid: u32) -> Self {
        Self { pid, host: host_name(), start: running(pid).flatten() }
    }

    /// Whether this very process still runs. A zombie counts as dead.
    pub fn liveness(&self) -> Liveness {
        if self.host != host_name() {
            return Liveness::Unknown;
        }
        match (running(self.pid), self.start) {
            (None, _) if cfg!(target_os = "linux") => Liveness::Dead,
            (None, _) => Liveness::Unknown,
            (Some(now), Some(then)) if now != Some(then) => Liveness::Dead,
            (Some(_), _) => Liveness::Alive,
        }
    }
}

/// The start time of a running process; `None` when there is none or the system does not tell.
#[cfg(target_os = "linux")]
fn running(pid: u32) -> Option<Option<u64>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in the second field may hold blanks and brackets: the fields start after the last one.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    Some(fields.get(19).and_then(|ticks| ticks.parse().ok()))
}

#[cfg(not(target_os = "linux"))]
fn running(pid: u32) -> Option<Option<u64>> {
    (pid == std::process::id()).then_some(None)
}

/// This machine's name, or "localhost" when it has none.
pub fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_kernel
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive() {
        assert_eq!(Process::current().liveness(), Liveness::Alive);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_reused_number_is_not_the_same_process() {
        let mut process = Process::current();
        process.start = process.start.map(|ticks| ticks + 1);
        assert_eq!(process.liveness(), Liveness::Dead);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_finished_child_is_dead_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let process = Process::of(child.id());
        assert_eq!(process.liveness(), Liveness::Alive);
        child.kill().unwrap();
        let gone = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            process.liveness() == Liveness::Dead
        });
        child.wait().unwrap();
        assert!(gone, "a zombie must count as dead");
        assert_eq!(process.liveness(), Liveness::Dead);
    }

    #[test]
    fn another_machine_is_unknown() {
        let process = Process { pid: 1, host: "some-other-machine".into(), start: None };
        assert_eq!(process.liveness(), Liveness::Unknown);
    }
}
