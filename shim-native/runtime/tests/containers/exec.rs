//! More processes in a running container.

use crate::need_containers;
use crate::support::{Bundle, Outcome, Running, Streams, wait};
use gantry_runtime::spec::Process;
use gantry_runtime::{Error, ErrorKind, ExecOptions};
use serde_json::{Value, json};

fn exec(running: &Running, change: impl FnOnce(&mut Value), script: &str) -> Result<Outcome, Error> {
    let mut process = json!({
        "user": {"uid": 0, "gid": 0}, "args": ["/bin/sh", "-c", script], "env": ["PATH=/bin", "X=y"], "cwd": "/tmp"
    });
    change(&mut process);
    let process: Process = serde_json::from_value(process).unwrap();
    let (streams, stdio) = Streams::new();
    let options = ExecOptions {
        stdio,
        no_new_keyring: false,
        io_owner: None,
    };
    let started = running.container.exec(&process, options)?;
    let (stdout, stderr) = streams.read();
    Ok(Outcome {
        code: wait(started.pid),
        stdout,
        stderr,
        warnings: started.warnings,
    })
}

#[test]
fn an_exec_is_in_the_same_world_with_its_own_rights() {
    need_containers!();
    let running = Bundle::new(&["/bin/sleep", "60"]).started();
    let outcome = exec(
        &running,
        |process| {
            process["user"] = json!({"uid": 33, "gid": 33});
            process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]);
            process["oomScoreAdj"] = json!(99);
        },
        "hostname; id -u; pwd; echo $X $HOME; cat /proc/1/comm; ulimit -n; cat /proc/self/oom_score_adj; grep CapEff /proc/self/status; exit 7",
    )
    .unwrap();
    assert_eq!(
        outcome.stdout, "inside\n33\n/tmp\ny /work\nsleep\n50\n99\nCapEff:\t0000000000000000\n",
        "{outcome:?}"
    );
    assert_eq!(outcome.code, 7);
    let process = json!({"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "60"], "env": [], "cwd": "/"});
    let (_streams, stdio) = Streams::new();
    let options = ExecOptions {
        stdio,
        no_new_keyring: false,
        io_owner: None,
    };
    let sleeper = running
        .container
        .exec(&serde_json::from_value(process).unwrap(), options)
        .unwrap();
    let links = |pid: i32| {
        ["net", "mnt", "ipc", "uts", "pid", "cgroup"]
            .map(|kind| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap())
    };
    assert_eq!(links(sleeper.pid), links(running.container.init_pid()));
    assert_eq!(running.container.pids().unwrap().len(), 2);
    running.container.kill(9, true).unwrap();
    wait(sleeper.pid);
    running.end();
}

#[test]
fn an_exec_shares_the_group_and_the_seccomp_policy() {
    need_containers!();
    let policy = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    let running = Bundle::new(&["/bin/sleep", "60"])
        .with(|spec| spec["linux"]["seccomp"] = policy)
        .started();
    let outcome = exec(&running, |_| {}, "mkdir /tmp/x; cat /proc/self/cgroup > /tmp/a; cat /proc/1/cgroup > /tmp/b; busybox diff /tmp/a /tmp/b && echo same").unwrap();
    assert!(outcome.stderr.contains("Operation not permitted"), "{outcome:?}");
    assert_eq!(outcome.stdout, "same\n", "{outcome:?}");
    running.end();
}

#[test]
fn a_failing_exec_says_what_docker_looks_for() {
    need_containers!();
    let running = Bundle::new(&["/bin/sleep", "60"]).started();
    let text = |args: Value| {
        let error = exec(&running, |process| process["args"] = args, "").unwrap_err();
        (error.kind(), error.to_string())
    };
    let (kind, missing) = text(json!(["nothing"]));
    assert_eq!(kind, ErrorKind::NotFound);
    assert_eq!(missing, "exec: \"nothing\": executable file not found in $PATH");
    assert_eq!(
        text(json!(["/bin/data"])).1,
        "exec: \"/bin/data\": permission denied"
    );
    let error = exec(&running, |process| process["cwd"] = json!("/missing"), "true").unwrap_err();
    assert_eq!(
        error.to_string(),
        "working directory: /missing: No such file or directory (os error 2)"
    );
    running.end();
}

#[test]
fn no_exec_into_a_dead_container() {
    need_containers!();
    let running = Bundle::new(&["/bin/sleep", "60"]).started();
    running.container.kill(9, false).unwrap();
    wait(running.container.init_pid());
    let error = exec(&running, |_| {}, "true").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let mut container = running.container;
    container.delete().unwrap();
}
