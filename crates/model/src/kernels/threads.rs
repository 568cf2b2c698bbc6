//! Candle's own worker threads, kept from spinning.

/// Read once by candle when its first large element-by-element operation starts its threads.
const THREADS: &str = "CANDLE_NUM_THREADS";

/// Makes candle work on sums and products of tensors in the calling thread; call it first in `main`.
///
/// Candle shares such work with threads that spin while they wait, for it and for each other. At the sizes trained on
/// a CPU this gains nothing, and where other programs run a training step takes three times as long (measured on two
/// busy cores: 1.9 s of processor time against 0.54 s). Matrix products and the kernels here keep all their threads.
///
/// Does nothing if the user has set the variable, or once other threads run. Says whether the variable is set.
pub fn keep_candle_from_spinning() -> bool {
    if std::env::var_os(THREADS).is_none() && is_alone() {
        // SAFETY: no other thread runs that could read the environment meanwhile.
        unsafe { std::env::set_var(THREADS, "1") };
    }
    std::env::var_os(THREADS).is_some()
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
        let before = std::env::var_os(THREADS);
        assert_eq!(keep_candle_from_spinning(), before.is_some());
        assert_eq!(std::env::var_os(THREADS), before);
    }
}
