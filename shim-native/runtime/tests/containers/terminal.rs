//! Pseudo terminals of the container's own devpts.

use crate::need_containers;
use crate::support::{Bundle, read_all, wait};
use gantry_runtime::spec::Process;
use gantry_runtime::{ExecOptions, Stdio};
use serde_json::json;

#[test]
fn a_terminal_is_the_containers_own() {
    need_containers!();
    let bundle = Bundle::shell(
        "tty; stty size; test -c /dev/console && echo console; stat -c %u $(tty); ls -1 /dev/pts",
    )
    .with(|spec| {
        spec["process"]["terminal"] = json!(true);
        spec["process"]["consoleSize"] = json!({"height": 33, "width": 111});
        spec["process"]["user"] = json!({"uid": 33, "gid": 33});
    });
    let mut created = bundle.create_with(Stdio::Terminal).unwrap();
    created.container.start().unwrap();
    let text = read_all(created.console.expect("a master")).replace('\r', "");
    assert_eq!(text, "/dev/pts/0\n33 111\nconsole\n33\n0\nptmx\n");
    assert_eq!(wait(created.container.init_pid()), 0);
    created.container.delete().unwrap();
}

#[test]
fn an_exec_gets_a_terminal_too() {
    need_containers!();
    let running = Bundle::new(&["/bin/sleep", "60"]).started();
    let process = json!({"terminal": true, "user": {"uid": 0, "gid": 0}, "args": ["/bin/sh", "-c", "tty; test -t 0 && test -t 2"], "env": ["PATH=/bin"], "cwd": "/"});
    let process: Process = serde_json::from_value(process).unwrap();
    let options = ExecOptions {
        stdio: Stdio::Terminal,
        no_new_keyring: false,
        io_owner: None,
    };
    let started = running.container.exec(&process, options).unwrap();
    let text = read_all(started.console.expect("a master"));
    assert!(text.starts_with("/dev/pts/0\r\n"), "{text:?}");
    assert_eq!(wait(started.pid), 0);
    running.end();
}

#[test]
fn terminal_and_stdio_must_agree() {
    need_containers!();
    let error = Bundle::new(&["/bin/true"])
        .create_with(Stdio::Terminal)
        .unwrap_err()
        .to_string();
    assert!(error.contains("process.terminal"), "{error}");
    let piped = Bundle::new(&["/bin/true"]).with(|spec| spec["process"]["terminal"] = json!(true));
    assert!(piped.create().is_err());
}
