//! What is left when the caller dies, and how it goes away.

use crate::need_containers;
use crate::support::{Bundle, eventually, group};
use gantry_runtime::{ErrorKind, STATE_FILE, cleanup};
use serde_json::json;
use std::fs;

fn is_gone(pid: i32) -> bool {
    !fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn cleanup_ends_a_running_container_and_can_be_repeated() {
    need_containers!();
    let bundle = Bundle::shell("sleep 61 & wait");
    let mark = bundle.path().join("mark");
    let bundle = bundle.with(|spec| {
        let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("echo > {}", mark.display())]}]);
        spec["hooks"] = json!({"poststop": hook});
    });
    let running = bundle.started();
    running.container.pause().unwrap();
    let pid = running.container.init_pid();
    // The caller is as good as dead: its handle is gone.
    drop(running);
    let other = cleanup(bundle.path(), "another-id").unwrap_err();
    assert_eq!(other.kind(), ErrorKind::InvalidArgument, "{other}");
    let cleaned = cleanup(bundle.path(), &bundle.id).unwrap();
    assert_eq!((cleaned.init_pid, cleaned.killed), (Some(pid), true));
    assert!(
        is_gone(pid) && !group(&bundle.id, "memory").exists() && !bundle.path().join(STATE_FILE).exists()
    );
    assert!(mark.exists(), "the poststop hook ran");
    let again = cleanup(bundle.path(), &bundle.id).unwrap();
    assert_eq!((again.init_pid, again.killed), (None, false));
    crate::support::wait(pid);
}

#[test]
fn a_reused_pid_is_not_hit() {
    need_containers!();
    let bundle = Bundle::new(&["/bin/true"]);
    let running = bundle.started();
    crate::support::wait(running.container.init_pid());
    // The recorded pid now belongs to somebody else: this very process.
    let file = bundle.path().join(STATE_FILE);
    let text = fs::read_to_string(&file).unwrap();
    let (state, init) = text.split_once('\n').unwrap();
    let mut init: serde_json::Value = serde_json::from_str(init).unwrap();
    init["pid"] = json!(std::process::id());
    fs::write(&file, format!("{state}\n{init}")).unwrap();
    let cleaned = cleanup(bundle.path(), &bundle.id).unwrap();
    assert!(!cleaned.killed);
}

#[test]
fn a_caller_killed_at_any_moment_leaves_nothing_that_cleanup_misses() {
    need_containers!();
    for delay in [0, 500, 1000, 1500, 2000, 3000, 4500, 6000, 9000, 15000] {
        let bundle = Bundle::shell("sleep 62 & wait");
        // SAFETY: the child only runs the library and is killed or exits; it never returns into the harness.
        let caller = unsafe { libc::fork() };
        if caller == 0 {
            let running = bundle.create();
            if let Ok(mut running) = running {
                let _ = running.container.start();
            }
            std::thread::sleep(std::time::Duration::from_secs(60));
            // SAFETY: ends the child without running the harness's destructors.
            unsafe { libc::_exit(0) };
        }
        std::thread::sleep(std::time::Duration::from_micros(delay));
        // SAFETY: our own child, not yet reaped.
        unsafe { libc::kill(caller, libc::SIGKILL) };
        crate::support::wait(caller);
        cleanup(bundle.path(), &bundle.id).unwrap();
        eventually("no process is left", || !any_process_of(&bundle));
        assert!(!group(&bundle.id, "memory").exists(), "after {delay} us");
        assert!(!group(&bundle.id, "unified").exists(), "after {delay} us");
    }
}

/// Whether any process has the bundle in its mount table.
fn any_process_of(bundle: &Bundle) -> bool {
    let needle = bundle.path().display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut tables = processes.filter_map(|entry| fs::read_to_string(entry.path().join("mountinfo")).ok());
    tables.any(|table| table.contains(&needle))
}

#[test]
fn a_waiting_process_ends_with_its_caller() {
    need_containers!();
    let bundle = Bundle::new(&["/bin/true"]);
    let running = bundle.create().unwrap();
    let pid = running.container.init_pid();
    drop(running);
    assert_eq!(crate::support::wait(pid), 125);
    cleanup(bundle.path(), &bundle.id).unwrap();
}
