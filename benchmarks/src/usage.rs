//! What this process has used, as Linux tells it.

use std::fs;

/// Processor time of all threads so far, in milliseconds; none where the system does not tell.
///
/// Counts the threads that live: candle's and rayon's pools live as long as the process.
pub fn processor_ms() -> Option<f64> {
    let mut nanoseconds = 0u64;
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanoseconds as f64 / 1e6)
}

/// Resident memory now, in MB (10^6 bytes).
pub fn resident_mb() -> Option<f64> {
    status_mb("VmRSS:")
}

/// The most that was resident since the start or since [`forget_peak`], in MB (10^6 bytes).
pub fn peak_mb() -> Option<f64> {
    status_mb("VmHWM:")
}

/// Starts the peak anew at what is resident now, where the system allows it.
pub fn forget_peak() {
    // Where it is refused the peak of the building stays in, which is the larger figure.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn status_mb(field: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0 / 1e6)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_touched_shows_in_the_peak() {
        let before = resident_mb().unwrap();
        drop(std::hint::black_box(vec![1u8; 64 << 20]));
        let grown = peak_mb().unwrap() - before;
        assert!(grown > 60.0, "{grown} MB");
    }

    #[test]
    fn processor_time_goes_on() {
        let before = processor_ms().unwrap();
        let began = std::time::Instant::now();
        while began.elapsed().as_millis() < 30 {
            std::hint::spin_loop();
        }
        assert!(processor_ms().unwrap() > before);
    }
}
