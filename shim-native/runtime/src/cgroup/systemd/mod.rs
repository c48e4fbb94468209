//! The systemd driver: transient scopes asked from the manager, so that systemd knows of the container and
//! leaves its (delegated) group alone.

mod dbus;

use super::CgroupKind;
use super::v2::weight_of_shares;
use crate::error::Error;
use dbus::{Connection, Value};
use oci_spec::runtime::LinuxResources;
use std::time::{Duration, Instant};

const MANAGER: dbus::Target = dbus::Target {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// Longest wait for systemd to have moved the process.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes transient scope `unit` under `slice` around process `pid`, and waits until the process is in it.
pub(super) fn start_scope(
    slice: &str,
    unit: &str,
    pid: i32,
    resources: Option<&LinuxResources>,
    kind: CgroupKind,
) -> Result<(), Error> {
    let mut connection = Connection::to_systemd()?;
    let mut properties = vec![
        ("Description", Value::Text(format!("gantry container {unit}"))),
        ("Slice", Value::Text(slice.to_owned())),
        ("Delegate", Value::Flag(true)),
        ("DefaultDependencies", Value::Flag(false)),
        ("CPUAccounting", Value::Flag(true)),
        ("MemoryAccounting", Value::Flag(true)),
        ("TasksAccounting", Value::Flag(true)),
        ("IOAccounting", Value::Flag(true)),
        // A failed scope of an earlier container must not block the name.
        ("CollectMode", Value::Text("inactive-or-failed".to_owned())),
        ("PIDs", Value::Numbers(vec![pid as u32])),
    ];
    properties.extend(limits(resources, kind));
    let arguments = [
        Value::Text(unit.to_owned()),
        Value::Text("replace".to_owned()),
        Value::Properties(properties),
        Value::NoUnits,
    ];
    connection.call(&MANAGER, "StartTransientUnit", &arguments)?;
    wait_for_scope(unit, pid)
}

/// Tells systemd of new limits: it would write the old ones again at its next reload.
pub(super) fn update_scope(unit: &str, resources: &LinuxResources, kind: CgroupKind) -> Result<(), Error> {
    let properties = limits(Some(resources), kind);
    if properties.is_empty() {
        return Ok(());
    }
    let runtime = Value::Flag(true);
    let arguments = [
        Value::Text(unit.to_owned()),
        runtime,
        Value::Properties(properties),
    ];
    Connection::to_systemd()?.call(&MANAGER, "SetUnitProperties", &arguments)
}

/// Asks for the scope's end. On v2 systemd sees by itself that the group is empty; v1 has no such news. No
/// reply is waited for: systemd sends none when the scope ends at the same moment (seen with 252).
pub(super) fn stop_unit(unit: &str) -> Result<(), Error> {
    let arguments = [Value::Text(unit.to_owned()), Value::Text("replace".to_owned())];
    Connection::to_systemd()?.post(&MANAGER, "StopUnit", &arguments)
}

/// The limits that systemd itself keeps for a unit; the rest is only in the files, which delegation allows.
fn limits(resources: Option<&LinuxResources>, kind: CgroupKind) -> Vec<(&'static str, Value)> {
    let mut properties = Vec::new();
    let Some(resources) = resources else {
        return properties;
    };
    let v2 = kind == CgroupKind::V2;
    let amount = |value: i64| Value::Size(if value < 0 { u64::MAX } else { value as u64 });
    if let Some(memory) = resources.memory() {
        if let Some(limit) = memory.limit().filter(|limit| *limit != 0) {
            properties.push((if v2 { "MemoryMax" } else { "MemoryLimit" }, amount(limit)));
        }
        if let Some(low) = memory.reservation().filter(|low| v2 && *low != 0) {
            properties.push(("MemoryLow", amount(low)));
        }
    }
    if let Some(cpu) = resources.cpu() {
        if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
            let weight = if v2 {
                ("CPUWeight", weight_of_shares(shares))
            } else {
                ("CPUShares", shares)
            };
            properties.push((weight.0, Value::Size(weight.1)));
        }
        if let Some(quota) = cpu.quota().filter(|quota| *quota != 0) {
            let period = cpu.period().filter(|period| *period != 0).unwrap_or(100_000);
            properties.push(("CPUQuotaPerSecUSec", Value::Size(per_second(quota, period))));
            properties.push(("CPUQuotaPeriodUSec", Value::Size(period)));
        }
    }
    if let Some(pids) = resources.pids() {
        properties.push((
            "TasksMax",
            amount(if pids.limit() > 0 { pids.limit() } else { -1 }),
        ));
    }
    properties
}

/// systemd counts CPU time per second, in steps of 10 ms (so that it is a whole percentage); rounded up.
fn per_second(quota: i64, period: u64) -> u64 {
    if quota < 0 {
        return u64::MAX;
    }
    let exact = quota as u64 * 1_000_000 / period;
    exact.div_ceil(10_000) * 10_000
}

fn wait_for_scope(unit: &str, pid: i32) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    loop {
        let table = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        if table.lines().any(|line| line.ends_with(&format!("/{unit}"))) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let waited = PATIENCE.as_secs();
            let reason = format!("started {unit}, but process {pid} was not moved into it within {waited} s");
            return Err(Error::Systemd(reason));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_become_whole_percentages_per_second() {
        assert_eq!(per_second(50_000, 100_000), 500_000);
        assert_eq!(per_second(12_345, 100_000), 130_000);
        assert_eq!(per_second(-1, 100_000), u64::MAX);
    }

    #[test]
    fn limits_use_the_names_of_the_interface() {
        let json = r#"{"memory":{"limit":1000},"cpu":{"shares":1024,"quota":-1},"pids":{"limit":-1}}"#;
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        let names = |kind| {
            limits(Some(&resources), kind)
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        let quota = ["CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "TasksMax"];
        assert_eq!(names(CgroupKind::V2)[..2], ["MemoryMax", "CPUWeight"]);
        assert_eq!(names(CgroupKind::Hybrid)[..2], ["MemoryLimit", "CPUShares"]);
        assert_eq!(names(CgroupKind::V2)[2..], quota);
    }
}
