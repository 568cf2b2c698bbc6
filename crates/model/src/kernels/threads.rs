//! How many threads candle works with, settled before it asks, and what the allocator keeps.

/// Threads of candle's own pool for sums and products of tensors.
const OF_CANDLE: &str = "CANDLE_NUM_THREADS";
/// Threads of matrix products and of the kernels here.
const OF_RAYON: &str = "RAYON_NUM_THREADS";

/// Makes candle work on sums and products of tensors in the calling thread, and tells it the number of threads for
/// everything else; call it first in `main`.
///
/// Candle shares element-by-element work with threads that spin while they wait. At the sizes trained on a CPU this
/// gains nothing, and where other programs run a training step takes three times as long (measured on two busy
/// cores: 1.9 s of processor time against 0.54 s). And unless told it counts the cores anew for every matrix product,
/// by reading `/proc/cpuinfo`, which grows with the machine.
///
/// Leaves alone what the user has set, and does nothing once other threads run. Says whether both are set.
pub fn settle_threads() -> bool {
    let all = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    for (name, count) in [(OF_CANDLE, "1"), (OF_RAYON, all.as_str())] {
        if std::env::var_os(name).is_none() && is_alone() {
            // SAFETY: no other thread runs that could read the environment meanwhile.
            unsafe { std::env::set_var(name, count) };
        }
    }
    [OF_CANDLE, OF_RAYON].iter().all(|name| std::env::var_os(name).is_some())
}

/// Makes the allocator keep what is freed, up to any amount; call it first in `main`. Does something on glibc only.
///
/// A step allocates and frees the same sizes again and again. Given back to the system and asked for anew, their pages
/// are cleared each time: a tenth of a training step at the sizes trained on a CPU. The peak stays the same.
pub fn settle_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets numbers; blocks from 32 MiB on, the most it takes, are still mapped one by one.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

/// Whether this thread is the only one of the process; where that cannot be told, it is not.
fn is_alone() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_left_alone_while_threads_run() {
        // The harness runs each test beside its main thread.
        let set = || [OF_CANDLE, OF_RAYON].map(std::env::var_os);
        let before = set();
        assert_eq!(settle_threads(), before.iter().all(Option::is_some));
        assert_eq!(set(), before);
    }
}
