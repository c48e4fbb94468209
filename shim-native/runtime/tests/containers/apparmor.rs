//! Confinement by AppArmor. What needs the kernel's module runs in the guest of `npm run test:vm`.

use crate::need_containers;
use crate::support::Bundle;
use gantry_runtime::{Error, ErrorKind};
use serde_json::json;
use std::path::Path;
use std::process::Command;

const PARSER: &str = "/usr/sbin/apparmor_parser";

fn has_module() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// A loaded profile, for as long as it lives.
struct Loaded {
    folder: tempfile::TempDir,
    name: String,
}

impl Loaded {
    fn new(rules: &str) -> Self {
        let name = format!("gantry-test-{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let text = format!("profile {name} flags=(attach_disconnected) {{\n{rules}\n}}\n");
        std::fs::write(folder.path().join("profile"), text).unwrap();
        let loaded = Self { folder, name };
        loaded.parser("--replace");
        loaded
    }

    fn parser(&self, verb: &str) {
        let file = self.folder.path().join("profile");
        let status = Command::new(PARSER)
            .args(["--skip-cache", verb])
            .arg(file)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

fn refusal(bundle: &Bundle) -> Error {
    bundle.create().err().expect("refused")
}

#[test]
fn a_profile_confines_the_program_and_what_is_executed_beside_it() {
    need_containers!();
    if !has_module() || !Path::new(PARSER).exists() {
        return;
    }
    let profile = Loaded::new("file,\ncapability,\nsignal,\ndeny /etc/secret r,");
    for no_new_privileges in [false, true] {
        let outcome = Bundle::shell("cat /proc/self/attr/current; echo x > /etc/secret; cat /etc/secret")
            .with(|spec| {
                spec["process"]["apparmorProfile"] = json!(profile.name);
                spec["process"]["noNewPrivileges"] = json!(no_new_privileges);
            })
            .run();
        assert_eq!(
            outcome.stdout,
            format!("{} (enforce)\n", profile.name),
            "{outcome:?}"
        );
        assert!(outcome.stderr.contains("Permission denied"), "{outcome:?}");
    }
}

#[test]
fn a_profile_that_is_not_loaded_is_named() {
    need_containers!();
    if !has_module() {
        return;
    }
    let mut bundle = Bundle::new(&["/bin/true"]);
    bundle.spec["process"]["apparmorProfile"] = json!("none-such");
    let error = refusal(&bundle);
    assert!(
        error.to_string().contains("AppArmor profile: none-such"),
        "{error}"
    );
}

#[test]
fn a_profile_is_refused_where_there_is_no_apparmor() {
    need_containers!();
    let mut bundle = Bundle::new(&["/bin/true"]);
    bundle.spec["process"]["apparmorProfile"] = json!("unconfined");
    bundle.create().unwrap().end();
    if has_module() {
        return;
    }
    bundle.spec["process"]["apparmorProfile"] = json!("my-profile");
    let error = refusal(&bundle);
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(
        error
            .to_string()
            .contains("\"my-profile\": this host has no AppArmor"),
        "{error}"
    );
}
