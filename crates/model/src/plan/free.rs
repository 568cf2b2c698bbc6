//! How much memory there is to work with.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Result};

/// Bytes that can be had on `device` now; none where the system does not tell.
///
/// On the CPU what Linux calls available, or what the control groups of this process still grant, if that is less.
///
/// # Errors
/// When a GPU does not answer.
pub fn free_memory(device: &Device) -> Result<Option<u64>> {
    match device {
        Device::Cpu => Ok(of_cpu()),
        #[cfg(feature = "cuda")]
        Device::Cuda(device) => {
            use candle_core::cuda::WrapErr;
            let (free, _) = device.cuda_stream().context().mem_get_info().w()?;
            Ok(Some(free as u64))
        }
        _ => Ok(None),
    }
}

fn of_cpu() -> Option<u64> {
    let available = available(&fs::read_to_string("/proc/meminfo").ok()?);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    available.into_iter().chain(granted(&groups, Path::new("/sys/fs/cgroup"))).min()
}

/// `MemAvailable` of `/proc/meminfo`.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// What the tightest control group with a limit still grants.
fn granted(groups: &str, root: &Path) -> Option<u64> {
    let folder = |line: &str| -> Option<(PathBuf, bool)> {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some((root.join(path), true)),
            _ if controllers.split(',').any(|c| c == "memory") => {
                Some((root.join("memory").join(path), false))
            }
            _ => None,
        }
    };
    let folders = groups.lines().filter_map(folder);
    let with_parents = folders.flat_map(|(folder, unified)| {
        let parents = folder.ancestors().take_while(|parent| parent.starts_with(root));
        parents.map(|parent| (parent.to_owned(), unified)).collect::<Vec<_>>()
    });
    with_parents.filter_map(|(folder, unified)| left_in(&folder, unified)).min()
}

/// What one group still grants: its limit, less what is used and cannot be taken back.
fn left_in(folder: &Path, unified: bool) -> Option<u64> {
    let names = match unified {
        true => ["memory.max", "memory.current", "inactive_file "],
        false => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "],
    };
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number(names[0])?, number(names[1])?);
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cached = stat.lines().find_map(|line| line.strip_prefix(names[2])?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   12345678 kB\nBuffers: 3 kB\n";
        assert_eq!(available(text), Some(12_345_678 << 10));
        assert_eq!(available("MemTotal: 5 kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_tells() {
        let free = free_memory(&Device::Cpu).unwrap().unwrap();
        assert!(free > 1 << 20, "{free}");
    }

    #[test]
    fn the_tightest_group_counts_and_cached_files_do_not() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("jobs/memory.max", "1000\n");
        write("jobs/memory.current", "700\n");
        write("jobs/memory.stat", "anon 400\ninactive_file 300\n");
        write("jobs/one/memory.max", "max\n");
        write("jobs/one/memory.current", "650\n");
        assert_eq!(granted("0::/jobs/one\n", root.path()), Some(600));
        write("memory/box/memory.limit_in_bytes", "500\n");
        write("memory/box/memory.usage_in_bytes", "100\n");
        assert_eq!(granted("5:cpu,memory:/box\n1:name=systemd:/x\n", root.path()), Some(400));
        assert_eq!(granted("0::/elsewhere\n", root.path()), None);
    }
}
