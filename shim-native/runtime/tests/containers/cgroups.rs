//! Limits, figures, freezing, OOM.

use crate::need_containers;
use crate::support::{Bundle, eventually, group, is_readable, is_v2};
use gantry_runtime::spec::LinuxResources;
use gantry_runtime::{CgroupVersion, ErrorKind};
use serde_json::json;
use std::fs;

fn read(id: &str, controller: &str, v1: &str, v2: &str) -> String {
    let file = if is_v2() { v2 } else { v1 };
    fs::read_to_string(group(id, controller).join(file))
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn limits_are_in_the_files_and_can_be_changed() {
    need_containers!();
    let bundle = Bundle::new(&["/bin/sleep", "60"]).with(|spec| {
        spec["linux"]["resources"] = json!({
            "memory": {"limit": 67108864, "reservation": 33554432},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"},
            "pids": {"limit": 42}
        });
    });
    let running = bundle.started();
    let id = &bundle.id;
    assert_eq!(
        read(id, "memory", "memory.limit_in_bytes", "memory.max"),
        "67108864"
    );
    assert_eq!(
        read(id, "memory", "memory.soft_limit_in_bytes", "memory.low"),
        "33554432"
    );
    assert_eq!(
        read(id, "cpu", "cpu.shares", "cpu.weight"),
        if is_v2() { "59" } else { "512" }
    );
    assert_eq!(
        read(id, "cpu", "cpu.cfs_quota_us", "cpu.max"),
        if is_v2() { "50000 100000" } else { "50000" }
    );
    assert_eq!(read(id, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(read(id, "pids", "pids.max", "pids.max"), "42");
    let change = json!({"memory": {"limit": 134217728, "swap": 134217728}, "pids": {"limit": 7}, "cpu": {"quota": 20000, "period": 50000}});
    let change: LinuxResources = serde_json::from_value(change).unwrap();
    running.container.update(&change).unwrap();
    assert_eq!(
        read(id, "memory", "memory.limit_in_bytes", "memory.max"),
        "134217728"
    );
    assert_eq!(
        read(id, "cpu", "cpu.cfs_period_us", "cpu.max"),
        if is_v2() { "20000 50000" } else { "50000" }
    );
    assert_eq!(read(id, "pids", "pids.max", "pids.max"), "7");
    assert_eq!(read(id, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0", "untouched");
    running.end();
    assert!(!group(id, "memory").exists() && !group(id, "pids").exists());
}

#[test]
fn the_process_limit_holds() {
    need_containers!();
    let outcome = Bundle::shell("sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait")
        .with(|spec| spec["linux"]["resources"] = json!({"pids": {"limit": 3}}))
        .run();
    assert!(outcome.stderr.contains("can't fork"), "{outcome:?}");
}

#[test]
fn figures_are_read() {
    need_containers!();
    let bundle =
        Bundle::shell("i=0; while test $i -lt 20000; do i=$((i+1)); done; sleep 60; true").with(|spec| {
            spec["linux"]["resources"] = json!({"memory": {"limit": 67108864}, "pids": {"limit": 42}});
        });
    let running = bundle.started();
    eventually("CPU time is counted", || {
        running.container.stats().unwrap().cpu.usage_total_ns > 1_000_000
    });
    eventually("sleep runs", || running.container.pids().unwrap().len() == 2);
    let stats = running.container.stats().unwrap();
    assert_eq!(
        stats.version,
        if is_v2() {
            CgroupVersion::V2
        } else {
            CgroupVersion::V1
        }
    );
    assert_eq!(
        (stats.memory.limit, stats.pids.limit, stats.pids.current),
        (67108864, 42, 2)
    );
    assert!(
        stats.memory.usage > 0 && !stats.memory.stat.is_empty(),
        "{stats:?}"
    );
    assert!(is_v2() || !stats.cpu.usage_percpu_ns.is_empty());
    running.end();
}

#[test]
fn a_paused_container_stands_still_and_can_be_killed() {
    need_containers!();
    let running = Bundle::shell("while :; do i=$((i+1)); done").started();
    running.container.pause().unwrap();
    running.container.pause().unwrap();
    let time = || running.container.stats().unwrap().cpu.usage_total_ns;
    let before = time();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(time(), before);
    running.container.resume().unwrap();
    eventually("it runs again", || time() > before);
    running.container.pause().unwrap();
    running.container.kill(9, false).unwrap();
    assert!(
        is_readable(running.container.pidfd().unwrap()),
        "SIGKILL reaches a paused container"
    );
    running.end();
}

#[test]
fn out_of_memory_is_told() {
    need_containers!();
    let running = Bundle::shell("sleep 0.2; head -c 100000000 /dev/zero | busybox tail -n 1; sleep 1")
        .with(|spec| spec["linux"]["resources"] = json!({"memory": {"limit": 16777216, "swap": 16777216}}))
        .started();
    let mut source = running
        .container
        .oom_events()
        .unwrap()
        .expect("a memory controller");
    // v2 also wakes for events that kill nobody yet.
    eventually("a kill is told", || {
        is_readable(&source) && source.drain().unwrap() >= 1
    });
    assert_eq!(source.drain().unwrap(), 0, "consumed");
    running.end();
}

#[test]
fn killing_all_reaches_every_process_and_a_dead_one_is_not_found() {
    need_containers!();
    // Without a pid namespace nothing dies with init.
    let running = Bundle::shell("sleep 61 & sleep 62 & wait")
        .with(|spec| {
            spec["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .retain(|n| n["type"] != "pid")
        })
        .started();
    eventually("both run", || running.container.pids().unwrap().len() == 3);
    running.container.kill(9, true).unwrap();
    assert!(is_readable(running.container.pidfd().unwrap()));
    eventually("all are gone", || running.container.pids().unwrap().is_empty());
    crate::support::wait(running.container.init_pid());
    let error = running.container.kill(15, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let mut container = running.container;
    container.delete().unwrap();
    container.delete().unwrap();
}

#[test]
fn a_group_in_use_is_refused_and_left_alone() {
    need_containers!();
    if crate::support::driver() == gantry_runtime::CgroupDriver::Systemd {
        return; // systemd keeps unit names apart itself
    }
    let first = Bundle::new(&["/bin/sleep", "60"]);
    let running = first.started();
    let second = Bundle::new(&["/bin/true"]).with(|spec| {
        spec["linux"]["cgroupsPath"] = json!(format!("{}/{}", crate::support::cgroup_parent(), first.id))
    });
    let error = second.create().err().expect("refused").to_string();
    assert!(error.contains("has 1 processes"), "{error}");
    assert_eq!(
        running.container.pids().unwrap().len(),
        1,
        "the first one was hurt"
    );
    running.end();
}

#[test]
fn impossible_limits_name_their_file() {
    need_containers!();
    let error = Bundle::new(&["/bin/true"])
        .with(|spec| spec["linux"]["resources"] = json!({"cpu": {"cpus": "9999"}}))
        .create()
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("\"9999\"") && error.contains("cpuset.cpus"),
        "{error}"
    );
}
