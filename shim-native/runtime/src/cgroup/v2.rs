//! `linux.resources` as v2 files (Documentation/admin-guide/cgroup-v2.rst).

use super::group::Cgroup;
use super::{device_program, device_rules, files};
use crate::error::{Error, Step, Warning};
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};
use rustix::io::Errno;
use std::collections::HashMap;
use std::path::Path;

/// Controllers worth enabling for a container.
const CONTROLLERS: [&str; 7] = ["cpu", "cpuset", "io", "memory", "hugetlb", "pids", "rdma"];

/// Enables in every ancestor of `dir` what its own `cgroup.controllers` offers. `path` is `dir` below the mount.
pub(super) fn enable_controllers(dir: &Path, path: &str) -> Result<(), Error> {
    let depth = Path::new(path).components().count().saturating_sub(1);
    let mut ancestors: Vec<&Path> = dir.ancestors().skip(1).take(depth).collect();
    ancestors.reverse();
    for ancestor in ancestors {
        let offered = files::read(ancestor, "cgroup.controllers")?;
        let enabled = files::read(ancestor, "cgroup.subtree_control")?;
        let has = |list: &str, name: &str| list.split_whitespace().any(|word| word == name);
        let missing: Vec<_> = CONTROLLERS
            .iter()
            .filter(|name| has(&offered, name) && !has(&enabled, name))
            .collect();
        if missing.is_empty() {
            continue;
        }
        let all: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
        if files::try_write(ancestor, "cgroup.subtree_control", &all.join(" ")).is_err() {
            // One that cannot be enabled must not keep the others away; a limit that needs it fails later, by name.
            for one in &all {
                let _ = files::try_write(ancestor, "cgroup.subtree_control", one);
            }
        }
    }
    Ok(())
}

pub(super) fn apply(
    group: &Cgroup,
    resources: &LinuxResources,
    initial: bool,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let Some(dir) = group.v2.as_deref() else {
        return Ok(());
    };
    if initial
        || resources
            .devices()
            .as_ref()
            .is_some_and(|rules| !rules.is_empty())
    {
        let rules = device_rules::resolve(resources.devices().as_deref().unwrap_or_default(), true)?;
        device_program::replace(dir, &rules)?;
    }
    if let Some(memory) = resources.memory() {
        apply_memory(dir, memory, warnings)?;
    }
    if let Some(cpu) = resources.cpu() {
        apply_cpu(dir, cpu)?;
    }
    if let Some(pids) = resources.pids() {
        let value = if pids.limit() > 0 {
            pids.limit().to_string()
        } else {
            "max".to_owned()
        };
        files::write(dir, "pids.max", &value)?;
    }
    if let Some(io) = resources.block_io() {
        apply_io(dir, io, warnings)?;
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        files::write(
            dir,
            &format!("hugetlb.{}.max", limit.page_size()),
            &amount(limit.limit()),
        )?;
    }
    resources
        .unified()
        .as_ref()
        .map_or(Ok(()), |unified| apply_unified(dir, unified))
}

/// Raw files by name, sorted so that the outcome does not depend on the map's order.
pub(super) fn apply_unified(dir: &Path, unified: &HashMap<String, String>) -> Result<(), Error> {
    let mut entries: Vec<_> = unified.iter().collect();
    entries.sort();
    for (file, value) in entries {
        if file.contains('/') || file.is_empty() || file.starts_with("cgroup.") {
            let reason = format!("{file:?} is not a controller's file name");
            return Err(Error::spec("linux.resources.unified", reason));
        }
        for line in value.lines() {
            files::write(dir, file, line)?;
        }
    }
    Ok(())
}

fn amount(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}

fn apply_memory(dir: &Path, memory: &LinuxMemory, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    if let Some(swap) = swap_alone(memory)? {
        match files::try_write(dir, "memory.swap.max", &amount(swap)) {
            Err(Errno::NOENT) => {
                if swap > 0 {
                    let message = format!("swap limit {swap} skipped: the kernel has no swap accounting");
                    warnings.push(Warning {
                        step: Step::Cgroup,
                        message,
                    });
                }
            }
            other => other.map_err(|e| files::failed(dir, "memory.swap.max", Some(&amount(swap)), e))?,
        }
    }
    if let Some(limit) = memory.limit().filter(|limit| *limit != 0) {
        files::write(dir, "memory.max", &amount(limit))?;
    }
    if let Some(reservation) = memory.reservation().filter(|value| *value != 0) {
        files::write(dir, "memory.low", &amount(reservation))?;
    }
    Ok(())
}

/// OCI's `swap` is memory plus swap, as in v1; v2 limits swap by itself.
fn swap_alone(memory: &LinuxMemory) -> Result<Option<i64>, Error> {
    match (
        memory.swap().filter(|swap| *swap != 0),
        memory.limit().filter(|limit| *limit != 0),
    ) {
        (None, Some(-1)) => Ok(Some(-1)),
        (None, _) => Ok(None),
        (Some(swap), _) if swap < 0 => Ok(Some(-1)),
        (Some(swap), Some(limit)) if limit > 0 && swap >= limit => Ok(Some(swap - limit)),
        (Some(swap), limit) => {
            let reason = format!("{swap} needs a memory limit not above it (limit is {limit:?})");
            Err(Error::spec("linux.resources.memory.swap", reason))
        }
    }
}

fn apply_cpu(dir: &Path, cpu: &LinuxCpu) -> Result<(), Error> {
    if let Some(idle) = cpu.idle() {
        files::write(dir, "cpu.idle", &idle.to_string())?;
    }
    if let Some(shares) = cpu
        .shares()
        .filter(|shares| *shares != 0 && cpu.idle() != Some(1))
    {
        files::write(dir, "cpu.weight", &weight_of_shares(shares).to_string())?;
    }
    let (quota, period) = (cpu.quota().filter(|q| *q != 0), cpu.period().filter(|p| *p != 0));
    if quota.is_some() || period.is_some() {
        let old = files::read_optional(dir, "cpu.max").unwrap_or_default();
        let kept_quota = old.split_whitespace().next().unwrap_or("max");
        let quota = quota.map_or(kept_quota.to_owned(), amount);
        let line = period.map_or(quota.clone(), |period| format!("{quota} {period}"));
        files::write(dir, "cpu.max", &line)?;
    }
    if let Some(burst) = cpu.burst() {
        files::write(dir, "cpu.max.burst", &burst.to_string())?;
    }
    for (file, value) in [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            files::write(dir, file, value)?;
        }
    }
    Ok(())
}

/// v1 shares [2, 262144] to v2 weight [1, 10000] by the curve that maps both defaults (1024 and 100) onto
/// each other, as Kubernetes and current runtimes do: 10^(l²/612 + 125 l/612 - 7/34) with l = log2(shares).
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    let l = (shares as f64).log2();
    let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
    10f64.powf(exponent).ceil() as u64
}

fn apply_io(dir: &Path, io: &LinuxBlockIo, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        write_weight(dir, "default", weight, warnings)?;
    }
    for device in io.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            write_weight(
                dir,
                &format!("{}:{}", device.major(), device.minor()),
                weight,
                warnings,
            )?;
        }
    }
    let limits = [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ];
    for (key, devices) in limits {
        for device in devices.iter().flatten() {
            let rate = if device.rate() == 0 {
                "max".to_owned()
            } else {
                device.rate().to_string()
            };
            let line = format!("{}:{} {key}={rate}", device.major(), device.minor());
            files::write(dir, "io.max", &line)?;
        }
    }
    Ok(())
}

/// bfq takes OCI's weights (10..1000) as they are; io.weight wants 1..10000.
fn write_weight(dir: &Path, device: &str, weight: u16, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let scaled = 1 + u64::from(weight.saturating_sub(10)) * 9999 / 990;
    for (file, value) in [("io.bfq.weight", u64::from(weight)), ("io.weight", scaled)] {
        let line = format!("{device} {value}");
        match files::try_write(dir, file, &line) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(|errno| files::failed(dir, file, Some(&line), errno)),
        }
    }
    let message = format!("I/O weight {weight} skipped: neither io.bfq.weight nor io.weight exists");
    warnings.push(Warning {
        step: Step::Cgroup,
        message,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxMemoryBuilder;

    #[test]
    fn shares_map_their_ends_and_their_default() {
        let weights = [0, 2, 1024, 262_144, u64::MAX].map(weight_of_shares);
        assert_eq!(weights, [1, 1, 100, 10_000, 10_000]);
    }

    #[test]
    fn swap_is_what_exceeds_memory() {
        let memory = |limit: i64, swap: i64| {
            LinuxMemoryBuilder::default()
                .limit(limit)
                .swap(swap)
                .build()
                .unwrap()
        };
        assert_eq!(swap_alone(&memory(100, 150)).unwrap(), Some(50));
        assert_eq!(swap_alone(&memory(100, 100)).unwrap(), Some(0));
        assert_eq!(swap_alone(&memory(100, -1)).unwrap(), Some(-1));
        assert!(swap_alone(&memory(100, 50)).is_err());
    }
}
