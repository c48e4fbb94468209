//! What a user reads when something is wrong.

use crate::need_containers;
use crate::support::{Bundle, group};
use gantry_runtime::{ErrorKind, STATE_FILE};
use serde_json::json;

fn refusal(bundle: &Bundle) -> (ErrorKind, String) {
    let error = bundle.create().err().expect("refused");
    assert!(!bundle.path().join(STATE_FILE).exists(), "the state file stayed");
    assert!(!group(&bundle.id, "memory").exists(), "the group stayed");
    (error.kind(), error.to_string())
}

#[test]
fn programs_that_cannot_run() {
    need_containers!();
    assert_eq!(
        refusal(&Bundle::new(&["nothing"])).1,
        "exec: \"nothing\": executable file not found in $PATH"
    );
    assert_eq!(
        refusal(&Bundle::new(&["/nothing"])).1,
        "exec: \"/nothing\": no such file or directory"
    );
    assert_eq!(
        refusal(&Bundle::new(&["/bin/data"])).1,
        "exec: \"/bin/data\": permission denied"
    );
    assert_eq!(
        refusal(&Bundle::new(&["/bin"])).1,
        "exec: \"/bin\": is a directory"
    );
}

#[test]
fn a_file_that_is_no_program_is_told_by_start() {
    need_containers!();
    use std::os::unix::fs::PermissionsExt;
    let bundle = Bundle::new(&["/junk"]);
    let junk = bundle.path().join("upper/junk");
    std::fs::write(&junk, "\0\0no program").unwrap();
    std::fs::set_permissions(&junk, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut running = bundle.create().unwrap();
    let error = running.container.start().unwrap_err();
    assert_eq!(error.to_string(), "exec: \"/junk\": exec format error");
    running.end();
}

#[test]
fn mistakes_in_the_spec_are_named() {
    need_containers!();
    let mut bundle = Bundle::new(&["/bin/true"]);
    let mut check = |pointer: &str, value: serde_json::Value, words: &str| {
        let spec = bundle.spec.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bundle.spec.pointer_mut(parent).unwrap()[key] = value;
        let (kind, text) = refusal(&bundle);
        assert!(text.contains(words), "{text}");
        assert_eq!(kind, ErrorKind::InvalidArgument, "{text}");
        bundle.spec = spec;
    };
    check("/process/args", json!([]), "process.args");
    check("/process/cwd", json!("relative"), "process.cwd");
    check("/linux/cgroupsPath", json!("/a/../.."), "linux.cgroupsPath");
    check("/linux/sysctl", json!({"vm.swappiness": "1"}), "vm.swappiness");
    check("/linux/rootfsPropagation", json!("wild"), "rootfsPropagation");
    check("/linux/namespaces", json!([]), "mount namespace");
}

#[test]
fn missing_sources_are_named() {
    need_containers!();
    let bundle = Bundle::new(&["/bin/true"]).with(|spec| {
        let mount =
            json!({"destination": "/x", "type": "bind", "source": "/nowhere/at/all", "options": ["bind"]});
        crate::support::push(spec, "/mounts", mount);
    });
    assert_eq!(
        refusal(&bundle).1,
        "mount: bind source /nowhere/at/all: No such file or directory (os error 2)"
    );
    let bundle = Bundle::new(&["/bin/true"]).with(|spec| {
        let mount = json!({"destination": "/x", "type": "tmpfs", "source": "x", "options": ["size=lots"]});
        crate::support::push(spec, "/mounts", mount);
    });
    assert!(refusal(&bundle).1.contains("option size=lots"));
}

#[test]
fn starting_twice_is_refused() {
    need_containers!();
    let mut running = Bundle::new(&["/bin/true"]).started();
    let error = running.container.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    running.end();
}
