//! Further processes in a running container.

mod support;

use support::Rig;
use support::client::{BOTH, Protocol};
use support::proto::containerd::v1::types::Status;

#[test]
fn an_exec_runs_and_is_told_apart() {
    needs_root!();
    for protocol in BOTH {
        let rig = Rig::new(protocol, "exec sleep 1000");
        rig.create("");
        assert!(
            rig.exec("e0", "true", "")
                .unwrap_err()
                .message
                .contains("cannot exec in a created state")
        );
        rig.start();
        rig.exec("e1", "echo hello; exit 5", &rig.stdio("e1", ""))
            .unwrap();
        assert!(
            rig.exec("e1", "true", "")
                .unwrap_err()
                .message
                .contains("id e1: already exists")
        );
        assert_eq!(rig.state("e1").unwrap().status(), Status::Created);
        let pid = rig.try_start("e1").unwrap().pid;
        assert_eq!(rig.wait("e1").exit_status, 5);
        assert_eq!(rig.delete("e1").unwrap().pid, pid);
        assert!(
            rig.state("e1")
                .unwrap_err()
                .message
                .contains("process does not exist e1")
        );
        assert_eq!(rig.log("e1.log"), [("stdout".to_owned(), "hello\n".to_owned())]);
        assert_eq!(
            rig.daemon.topics(5),
            ["create", "start", "exec-added", "exec-started", "exit"]
        );
        assert_eq!(rig.daemon.exits(1)[0].id, "e1");
        assert_eq!(rig.state("").unwrap().status(), Status::Running);
    }
}

#[test]
fn init_exits_last() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    rig.create("");
    rig.start();
    for id in ["a", "b", "c"] {
        rig.exec(id, "exec sleep 1000", &rig.stdio(id, "")).unwrap();
        rig.try_start(id).unwrap();
    }
    rig.kill("", 9).unwrap();
    assert_eq!(rig.wait("").exit_status, 137);
    let exits = rig.daemon.exits(4);
    assert_eq!(exits[3].id, rig.id);
    assert!(exits.iter().all(|exit| exit.exit_status == 137));
}

#[test]
fn an_exec_is_killed_alone() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "exec sleep 1000");
    rig.create("");
    rig.start();
    rig.exec("e", "exec sleep 1000", "").unwrap();
    assert!(
        rig.kill("e", 15)
            .unwrap_err()
            .message
            .contains("process not created")
    );
    rig.try_start("e").unwrap();
    rig.kill("e", 15).unwrap();
    assert_eq!(rig.wait("e").exit_status, 143);
    assert!(
        rig.kill("e", 15)
            .unwrap_err()
            .message
            .contains("process already finished")
    );
    assert_eq!(rig.state("").unwrap().status(), Status::Running);
}

#[test]
fn a_missing_program_is_an_error_of_start() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    rig.create("");
    rig.start();
    rig.exec_with("e", &["/no/such"], |_| {}).unwrap();
    let refusal = rig.try_start("e").unwrap_err();
    assert!(
        refusal.message.contains("/no/such") && refusal.message.contains("no such file"),
        "{refusal:?}"
    );
    assert_eq!(rig.delete("e").unwrap().exit_status, 127);
}
