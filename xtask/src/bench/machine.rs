//! What the figures were measured on.

use std::fs;

use serde::Serialize;
use serde_json::Value;

/// Extensions that decide which kernels run, most telling first.
const SIMD: [&str; 6] = ["avx512f", "avx512_bf16", "avx2", "fma", "f16c", "asimd"];

/// A machine, and how the programs were built and run there. What the system does not tell is left empty.
#[derive(Debug, Serialize)]
pub struct Machine {
    cpu: String,
    cores: usize,
    /// Threads that either side worked with.
    threads: usize,
    memory_gb: Option<f64>,
    simd: Vec<&'static str>,
    os: String,
    /// Cargo's profile of our side.
    profile: String,
    /// How the peer's threads wait (`OMP_WAIT_POLICY`).
    wait_policy: String,
    /// Programs that wanted to run, over the minute before the start and before the end.
    load: [Option<f64>; 2],
    /// Versions of the peer's packages.
    peer: Option<Value>,
}

/// Describes this machine.
pub fn describe(threads: usize, profile: &str, load_before: Option<f64>, peer: Option<Value>) -> Machine {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Machine {
        cpu: field(&cpu, "model name").unwrap_or(std::env::consts::ARCH).to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        threads,
        memory_gb: kilobytes(&memory).map(|kb| (kb * 1024.0 / 1e8).round() / 10.0),
        simd: simd(&cpu),
        os: operating_system(),
        profile: profile.to_owned(),
        wait_policy: super::worker::wait_policy(),
        load: [load_before, load()],
        peer,
    }
}

/// Programs that wanted to run over the last minute.
pub fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

impl Machine {
    /// All of it in a sentence.
    pub fn sentence(&self) -> String {
        let memory = self.memory_gb.map_or_else(String::new, |gb| format!(", {gb:.0} GB"));
        let load = match self.load {
            [Some(before), Some(after)] => format!("; load {before:.1} at the start, {after:.1} at the end"),
            _ => String::new(),
        };
        let peer = self.peer.as_ref().map_or_else(String::new, |peer| format!("; peer: {}", versions(peer)));
        format!(
            "{}, {} cores, {} threads each side{memory}, {}, {}; our {} profile{peer}{load}.",
            self.cpu,
            self.cores,
            self.threads,
            self.simd.join(" "),
            self.os,
            self.profile
        )
    }
}

fn versions(peer: &Value) -> String {
    let named = peer.as_object().into_iter().flatten();
    named
        .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The first value of a `key : value` line.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

fn kilobytes(meminfo: &str) -> Option<f64> {
    field(meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()
}

/// Which of [`SIMD`] the processor has; ARM's list is under another key.
fn simd(cpuinfo: &str) -> Vec<&'static str> {
    let flags = field(cpuinfo, "flags").or_else(|| field(cpuinfo, "Features")).unwrap_or_default();
    SIMD.into_iter().filter(|wanted| flags.split_whitespace().any(|flag| flag == *wanted)).collect()
}

fn operating_system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    pretty.map_or_else(|| std::env::consts::OS.into(), |name| name.trim_matches('"').into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_files_are_read() {
        let cpu = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 avx512f avx512fp16\n";
        assert_eq!(field(cpu, "model name"), Some("Some CPU"));
        assert_eq!(simd(cpu), ["avx512f", "avx2"]);
        assert_eq!(kilobytes("MemTotal:       24576000 kB\nMemFree: 1 kB\n"), Some(24_576_000.0));
        assert!(simd("").is_empty());
    }

    #[test]
    fn the_sentence_names_the_peer_where_there_is_one() {
        let alone = describe(2, "dev", None, None).sentence();
        assert!(alone.contains("2 threads") && alone.ends_with("our dev profile."), "{alone}");
        let both = describe(2, "dev", None, Some(serde_json::json!({ "torch": "2.15.0" }))).sentence();
        assert!(both.ends_with("our dev profile; peer: torch 2.15.0."), "{both}");
    }
}
