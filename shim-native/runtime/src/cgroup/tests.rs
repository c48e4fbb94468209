//! A v2 group on whatever v2 tree this host has (hybrid hosts have one without controllers).

use super::group::Cgroup;
use super::{CgroupKind, Host};
use crate::kernel::{Cloned, clone3, exit_now};
use crate::options::CgroupConfig;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

fn group(name: &str) -> Option<Cgroup> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: making groups needs root");
        return None;
    }
    let Some(mount) = Host::detect().ok().and_then(|host| host.v2) else {
        eprintln!("skipped: this host has no v2 tree");
        return None;
    };
    let path = format!("/gantry-v2-test-{}-{name}", std::process::id());
    let v2 = Some(mount.join(path.trim_start_matches('/')));
    Some(Cgroup {
        kind: CgroupKind::V2,
        path,
        v1: Vec::new(),
        v2,
        unit: None,
        shared_parent: None,
    })
}

/// Runs `work` in a process born in the group; its exit code comes back.
fn inside(group: &Cgroup, work: impl FnOnce() -> i32) -> i32 {
    let attachment = group.attachment().unwrap();
    match clone3(0, attachment.v2()).unwrap() {
        Cloned::Child => exit_now(work()),
        Cloned::Parent { pid, .. } => {
            let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())
                .unwrap()
                .unwrap();
            status.exit_status().unwrap_or(255)
        }
    }
}

fn open(path: &'static std::ffi::CStr) -> i32 {
    match rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()) {
        Ok(_) => 0,
        Err(Errno::PERM) => 1,
        Err(_) => 2,
    }
}

#[test]
fn the_device_program_confines_and_can_be_replaced() {
    let Some(group) = group("devices") else { return };
    group.create().unwrap();
    let resources = oci_spec::runtime::LinuxResources::default();
    if let Err(error) = group.apply(&resources, true) {
        group.remove().unwrap();
        eprintln!("skipped: {error}");
        return;
    }
    let (null, kmsg) = (
        inside(&group, || open(c"/dev/null")),
        inside(&group, || open(c"/dev/kmsg")),
    );
    let json = r#"{"devices":[{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]}"#;
    group.apply(&serde_json::from_str(json).unwrap(), false).unwrap();
    let after = inside(&group, || open(c"/dev/kmsg"));
    group.remove().unwrap();
    assert_eq!((null, kmsg, after), (0, 1, 0));
}

#[test]
fn a_v2_group_freezes_thaws_and_kills() {
    let Some(group) = group("freezer") else { return };
    group.create().unwrap();
    let attachment = group.attachment().unwrap();
    let pid = match clone3(0, attachment.v2()).unwrap() {
        Cloned::Child => loop {
            rustix::event::pause();
        },
        Cloned::Parent { pid, .. } => pid,
    };
    let pids = group.pids();
    let frozen = group.freeze().and_then(|()| group.freeze());
    let thawed = group.thaw();
    let killed = group.freeze().and_then(|()| group.kill_all());
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())
        .unwrap()
        .unwrap();
    let removed = group.remove();
    assert_eq!(pids.unwrap(), [pid]);
    frozen.and(thawed).and(killed).and(removed).unwrap();
    assert_eq!(status.terminating_signal(), Some(libc::SIGKILL));
}

#[test]
fn the_shared_parent_goes_with_its_last_group_however_many_come_and_go() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: making groups needs root");
        return;
    }
    let host = Host::detect().unwrap();
    let parent = format!("/gantry-parent-test-{}", std::process::id());
    let config = CgroupConfig {
        default_parent: parent.clone(),
        ..CgroupConfig::default()
    };
    let come_and_go = |id: &str| {
        for _ in 0..20 {
            let group = Cgroup::plan(&host, &config, None, id, None).unwrap();
            group.create().unwrap();
            group.remove().unwrap();
        }
    };
    std::thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || come_and_go(&format!("c{number}")));
        }
    });
    let mounts = host.v1.iter().map(|hierarchy| &hierarchy.mount).chain(&host.v2);
    for mount in mounts {
        let left = mount.join(parent.trim_start_matches('/'));
        assert!(!left.exists(), "{} is left", left.display());
    }
}
