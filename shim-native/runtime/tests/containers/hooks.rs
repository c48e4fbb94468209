//! Hooks in the order and the places of the specification.

use crate::need_containers;
use crate::support::Bundle;
use gantry_runtime::Step;
use serde_json::{Value, json};
use std::fs;

fn hook(script: &str) -> Value {
    json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 5}])
}

#[test]
fn hooks_run_in_order_each_in_its_world() {
    need_containers!();
    let bundle = Bundle::shell("cat /tmp/started");
    let log = bundle.path().join("log");
    let note = |name: &str| {
        // Each notes its name, the status it is told, and the host name it sees.
        let script = format!(
            "s=$(cat); echo {name} $(echo \"$s\" | /bin/busybox sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/') $(/bin/busybox hostname) >> {}",
            log.display()
        );
        hook(&script)
    };
    let bundle = bundle.with(|spec| {
        spec["hooks"] = json!({
            "prestart": note("prestart"),
            "createRuntime": note("createRuntime"),
            "createContainer": note("createContainer"),
            // Resolved and run inside the image.
            "startContainer": hook("/bin/cat > /tmp/started"),
            "poststart": note("poststart"),
            "poststop": note("poststop")
        });
        spec["annotations"] = json!({"a": "b"});
    });
    let outcome = bundle.run();
    assert!(outcome.warnings.is_empty(), "{outcome:?}");
    let state: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(
        (&state["status"], &state["annotations"]["a"], &state["id"]),
        (&json!("created"), &json!("b"), &json!(bundle.id))
    );
    assert_eq!(state["bundle"], json!(bundle.path()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let expected = format!(
        "prestart creating {host}\ncreateRuntime creating {host}\ncreateContainer creating inside\n\
         poststart running {host}\npoststop stopped {host}\n"
    );
    assert_eq!(fs::read_to_string(log).unwrap(), expected);
}

#[test]
fn a_failing_runtime_hook_undoes_everything() {
    need_containers!();
    let bundle = Bundle::new(&["/bin/true"])
        .with(|spec| spec["hooks"] = json!({"createRuntime": hook("echo no route >&2; exit 4")}));
    let error = bundle.create().err().expect("refused").to_string();
    assert_eq!(
        error,
        "hook createRuntime[0] \"/bin/sh\": exit status: 4: no route"
    );
    assert!(!crate::support::group(&bundle.id, "memory").exists());
    assert!(!bundle.path().join(gantry_runtime::STATE_FILE).exists());
}

#[test]
fn a_failing_hook_in_the_container_is_told_by_start() {
    need_containers!();
    let bundle =
        Bundle::new(&["/bin/true"]).with(|spec| spec["hooks"] = json!({"startContainer": hook("exit 9")}));
    let mut running = bundle.create().unwrap();
    let error = running.container.start().unwrap_err().to_string();
    assert_eq!(error, "hook startContainer[0] \"/bin/sh\": exit status: 9");
    running.end();
}

#[test]
fn late_hooks_only_warn() {
    need_containers!();
    let bundle = Bundle::new(&["/bin/true"])
        .with(|spec| spec["hooks"] = json!({"poststart": hook("exit 1"), "poststop": hook("exit 2")}));
    let outcome = bundle.run();
    let steps: Vec<_> = outcome.warnings.iter().map(|warning| warning.step).collect();
    assert_eq!(steps, [Step::Hook, Step::Hook], "{outcome:?}");
}

#[test]
fn hooks_in_the_container_have_no_more_rights_than_it() {
    need_containers!();
    let policy = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    let bundle = Bundle::new(&["/bin/cat", "/tmp/status"]).with(|spec| {
        spec["linux"]["seccomp"] = policy;
        spec["process"]["capabilities"] = json!({});
        spec["hooks"] =
            json!({"startContainer": hook("/bin/grep -E 'CapEff|Seccomp:' /proc/self/status > /tmp/status")});
    });
    assert_eq!(bundle.run().stdout, "CapEff:\t0000000000000000\nSeccomp:\t2\n");
}
