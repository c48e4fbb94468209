//! A container's life, over both protocols.

mod support;

use support::Rig;
use support::client::{BOTH, Client, Protocol};
use support::proto::containerd::task::v3::*;
use support::proto::containerd::v1::types::Status;

const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const FAILED_PRECONDITION: i32 = 9;
const UNIMPLEMENTED: i32 = 12;

#[test]
fn from_create_to_shutdown() {
    needs_root!();
    for protocol in BOTH {
        let rig = Rig::new(protocol, "echo out; echo err >&2; exit 7");
        let pid = rig.create(&rig.stdio("io", "")).pid;
        assert_eq!(rig.state("").unwrap().status(), Status::Created);
        assert_eq!(rig.start(), pid);
        let exit = rig.wait("");
        assert_eq!(exit.exit_status, 7);
        let state = rig.state("").unwrap();
        assert_eq!(
            (state.status(), state.exit_status, state.pid),
            (Status::Stopped, 7, pid)
        );
        let refusal = rig.kill("", 9).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (NOT_FOUND, "process already finished: not found")
        );
        let deleted = rig.delete("").unwrap();
        assert_eq!(
            (deleted.pid, deleted.exit_status, deleted.exited_at),
            (pid, 7, exit.exited_at)
        );
        let refusal = rig.state("").unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (NOT_FOUND, "container not created: not found")
        );
        assert_eq!(rig.daemon.topics(4), ["create", "start", "exit", "delete"]);
        let mut log = rig.log("io.log");
        log.sort();
        assert_eq!(
            log,
            [("stderr", "err\n"), ("stdout", "out\n")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        let shim = rig.shim_pid();
        rig.shutdown();
        support::wait_until("the shim ended", || !support::is_shim(shim, &rig.id));
        assert!(!rig.address.exists() && !rig.attach_path("io").exists());
    }
}

#[test]
fn events_carry_namespace_time_and_bare_type() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "exit 3");
    let pid = rig.create("").pid;
    rig.start();
    rig.wait("");
    let events = rig.daemon.events(3);
    assert!(
        events
            .iter()
            .all(|event| event.namespace == support::NAMESPACE && event.timestamp.is_some())
    );
    assert_eq!(
        events[2].event.as_ref().unwrap().type_url,
        "containerd.events.TaskExit"
    );
    let exit = &rig.daemon.exits(1)[0];
    assert_eq!(
        (&exit.id, &exit.container_id, exit.pid, exit.exit_status),
        (&rig.id, &rig.id, pid, 3)
    );
}

#[test]
fn an_exit_as_fast_as_it_can_be_is_not_lost() {
    needs_root!();
    for round in 0..10 {
        let rig = Rig::with(BOTH[round % 2], |config| {
            config["process"]["args"] = serde_json::json!(["/bin/true"])
        });
        rig.create("");
        rig.start();
        assert_eq!(rig.wait("").exit_status, 0);
        rig.delete("").unwrap();
        assert_eq!(rig.daemon.topics(4), ["create", "start", "exit", "delete"]);
    }
}

#[test]
fn a_signal_gives_128_and_its_number() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    rig.create("");
    rig.start();
    let refusal = rig.delete("").unwrap_err();
    assert_eq!(refusal.code, FAILED_PRECONDITION);
    assert!(refusal.message.contains("cannot delete a running process"));
    assert!(
        rig.try_start("")
            .unwrap_err()
            .message
            .contains("cannot start a running process")
    );
    rig.kill("", 9).unwrap();
    assert_eq!(rig.wait("").exit_status, 137);
}

#[test]
fn a_created_container_can_be_deleted_without_ever_running() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "echo never");
    rig.create(&rig.stdio("io", ""));
    assert_eq!(rig.delete("").unwrap().exit_status, 137);
    assert_eq!(rig.daemon.topics(3), ["create", "exit", "delete"]);
    assert!(rig.log("io.log").is_empty());
}

#[test]
fn a_missing_program_is_named_and_leaves_a_deletable_task() {
    needs_root!();
    let rig = Rig::with(Protocol::Grpc, |config| {
        config["process"]["args"] = serde_json::json!(["/no/such"])
    });
    let failed = match rig.create_with(|_| {}) {
        Err(refusal) => refusal,
        Ok(_) => {
            let refusal = rig.try_start("").unwrap_err();
            rig.delete("").unwrap();
            refusal
        }
    };
    assert!(
        failed.message.contains("/no/such") && failed.message.contains("no such file"),
        "{failed:?}"
    );
    assert_eq!(rig.state("").unwrap_err().code, NOT_FOUND);
}

#[test]
fn create_refuses_what_it_cannot_do() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "true");
    let refusal = rig.create_with(|r| r.stdout = "http:///x".into()).unwrap_err();
    assert!(refusal.message.contains("http"), "{refusal:?}");
    let refusal = rig
        .create_with(|r| r.bundle = "/no/such/bundle".into())
        .unwrap_err();
    assert!(
        refusal.message.contains("/no/such/bundle/config.json"),
        "{refusal:?}"
    );
    rig.create("");
    let refusal = rig.create_with(|_| {}).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.contains("already exists")),
        (6, true)
    );
}

#[test]
fn unknown_methods_and_services_are_unimplemented() {
    needs_root!();
    for protocol in BOTH {
        let rig = Rig::new(protocol, "true");
        let refusal = rig
            .client
            .call::<_, ()>("Nonsense", &StateRequest::default())
            .unwrap_err();
        assert_eq!(refusal.code, UNIMPLEMENTED);
    }
}

#[test]
fn one_socket_speaks_both_protocols_at_once() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    let pid = rig.create("").pid;
    let other = Client::connect(&rig.address, Protocol::Ttrpc);
    let connect = ConnectRequest { id: rig.id.clone() };
    let answers = [&rig.client, &other].map(|c| c.call::<_, ConnectResponse>("Connect", &connect).unwrap());
    assert!(
        answers
            .iter()
            .all(|a| a.task_pid == pid && a.shim_pid as i32 == rig.shim_pid())
    );
}

#[test]
fn pause_pids_stats_and_update() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    let pid = rig.create("").pid;
    let pause = PauseRequest { id: rig.id.clone() };
    assert!(
        rig.client
            .call::<_, ()>("Pause", &pause)
            .unwrap_err()
            .message
            .contains("cannot pause task in created state")
    );
    rig.start();
    rig.client.call::<_, ()>("Pause", &pause).unwrap();
    assert_eq!(rig.state("").unwrap().status(), Status::Paused);
    assert!(
        rig.client
            .call::<_, ()>("Pause", &pause)
            .unwrap_err()
            .message
            .contains("cannot pause a paused container")
    );
    rig.client
        .call::<_, ()>("Resume", &ResumeRequest { id: rig.id.clone() })
        .unwrap();
    assert_eq!(rig.state("").unwrap().status(), Status::Running);
    let pids: PidsResponse = rig
        .client
        .call("Pids", &PidsRequest { id: rig.id.clone() })
        .unwrap();
    assert!(pids.processes.iter().any(|process| process.pid == pid));
    let stats: StatsResponse = rig
        .client
        .call("Stats", &StatsRequest { id: rig.id.clone() })
        .unwrap();
    let stats = stats.stats.unwrap();
    assert!(stats.type_url.starts_with("io.containerd.cgroups.v") && !stats.value.is_empty());
    let resources = prost_types::Any {
        type_url: "x".into(),
        value: br#"{"pids":{"limit":50}}"#.to_vec(),
    };
    let update = UpdateTaskRequest {
        id: rig.id.clone(),
        resources: Some(resources),
        ..Default::default()
    };
    rig.client.call::<_, ()>("Update", &update).unwrap();
    let checkpoint = CheckpointTaskRequest {
        id: rig.id.clone(),
        ..Default::default()
    };
    let nowhere = rig.client.call::<_, ()>("Checkpoint", &checkpoint).unwrap_err();
    assert_eq!(nowhere.code, INVALID_ARGUMENT);
    assert_eq!(rig.daemon.topics(4), ["create", "start", "paused", "resumed"]);
}

#[test]
fn a_checkpoint_that_is_none_fails_the_start_and_leaves_a_task_to_delete() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "true");
    let images = rig.bundle.join("images");
    let created = rig.create_with(|r| r.checkpoint = images.to_str().unwrap().into());
    assert_eq!(created.unwrap().pid, 0);
    assert_eq!(rig.state("").unwrap().status(), Status::Created);
    let refusal = rig.try_start("").unwrap_err();
    assert!(refusal.message.contains("restore failed: "), "{refusal:?}");
    assert!(refusal.message.contains("criu"), "{refusal:?}");
    let state = rig.state("").unwrap();
    assert_eq!((state.status(), state.exit_status), (Status::Stopped, 255));
    assert_eq!(rig.delete("").unwrap().exit_status, 255);
    // Not started, it goes as quietly.
    rig.create_with(|r| r.checkpoint = images.to_str().unwrap().into())
        .unwrap();
    rig.delete("").unwrap();
    assert!(!rig.bundle.join("gantry-state.json").exists());
}

#[test]
fn an_idle_shim_is_small() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    rig.create(&rig.stdio("io", ""));
    rig.start();
    let pss = || {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", rig.shim_pid())).unwrap();
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    // The budget is 2 MB for the release build; an unoptimised one is a little larger.
    support::wait_until("the shim has settled", || {
        pss() < if cfg!(debug_assertions) { 3000 } else { 2048 }
    });
    assert_eq!(rig.state("").unwrap().status(), Status::Running);
}

#[test]
fn running_out_of_memory_is_an_event_before_the_exit() {
    needs_root!();
    let rig = Rig::with(Protocol::Grpc, |config| {
        config["process"]["args"] = serde_json::json!(["/bin/busybox", "tail", "/dev/zero"]);
        config["linux"]["resources"] = serde_json::json!({"memory": {"limit": 20 << 20, "swap": 20 << 20}});
    });
    rig.create("");
    rig.start();
    assert_eq!(rig.wait("").exit_status, 137);
    rig.daemon.exits(1);
    let topics = rig.daemon.topics(4);
    assert_eq!(
        topics.first_chunk(),
        Some(&["create", "start", "oom"].map(ToOwned::to_owned))
    );
    assert_eq!(topics.last().unwrap(), "exit");
    assert!(rig.daemon.saw_oom());
}

#[test]
fn one_shim_can_hold_several_tasks() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    let other = format!("{}x", rig.id);
    let bundle = support::bundle::make(rig.dir.path(), &other, |config| {
        config["process"]["args"] = serde_json::json!(["/bin/sh", "-c", "exit 6"]);
    });
    rig.create("");
    rig.start();
    let create =
        |r: &mut CreateTaskRequest| (r.id, r.bundle) = (other.clone(), bundle.to_str().unwrap().to_owned());
    rig.create_with(|r| create(r)).unwrap();
    rig.client
        .call::<_, StartResponse>(
            "Start",
            &StartRequest {
                id: other.clone(),
                ..Default::default()
            },
        )
        .unwrap();
    let wait = WaitRequest {
        id: other.clone(),
        ..Default::default()
    };
    assert_eq!(
        rig.client
            .call::<_, WaitResponse>("Wait", &wait)
            .unwrap()
            .exit_status,
        6
    );
    rig.client
        .call::<_, DeleteResponse>(
            "Delete",
            &DeleteRequest {
                id: other,
                ..Default::default()
            },
        )
        .unwrap();
    // Not the last task: Shutdown is a no-op.
    rig.shutdown();
    assert_eq!(rig.state("").unwrap().status(), Status::Running);
}
