//! Gantry's own stdio: logs and attached clients.

mod support;

use serde_json::json;
use support::attach::Attach;
use support::client::Protocol;
use support::proto::containerd::task::v3::*;
use support::{Rig, client};

#[test]
fn a_client_from_before_the_start_sees_everything() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "echo out; echo err >&2; exit 4");
    rig.create(&rig.stdio("io", ""));
    let attached = Attach::everything(&rig.attach_path("io"));
    rig.start();
    let received = attached.finish();
    assert_eq!(
        (received.stdout, received.stderr),
        (b"out\n".to_vec(), b"err\n".to_vec())
    );
    assert_eq!(received.exit_code, Some(4));
}

#[test]
fn replay_goes_on_live_without_gap_or_repeat() {
    needs_root!();
    let rig = Rig::new(
        Protocol::Grpc,
        "seq 1 60000; printf partial; read x; echo; seq 60001 120000",
    );
    rig.create(&rig.stdio("io", "&stdin=open&max-size=300000&max-file=50"));
    rig.start();
    let mut first = Attach::everything(&rig.attach_path("io"));
    let before = first.read_until("partial");
    let mut second = Attach::everything(&rig.attach_path("io"));
    assert_eq!(second.read_until("partial"), before);
    second.send(0, b"go\n");
    let want: String = (60_001..=120_000).map(|n| format!("{n}\n")).collect();
    let rest = String::from_utf8(first.finish().stdout).unwrap();
    assert_eq!(rest, format!("\n{want}"));
    let rest = second.finish();
    assert_eq!(
        (String::from_utf8(rest.stdout).unwrap(), rest.exit_code),
        (format!("\n{want}"), Some(0))
    );
    // After the exit, before Delete.
    let whole = Attach::everything(&rig.attach_path("io")).finish();
    assert_eq!(
        String::from_utf8(whole.stdout).unwrap(),
        format!("{before}\n{want}")
    );
    assert_eq!(whole.exit_code, Some(0));
}

#[test]
fn a_slow_client_gets_every_byte() {
    needs_root!();
    let rig = Rig::new(
        Protocol::Grpc,
        "dd if=/dev/zero bs=64k count=160 2>/dev/null | tr '\\0' x",
    );
    let stdio = format!("gantry://{}", rig.attach_path("io").display());
    rig.create(&stdio);
    let mut slow = Attach::connect(&rig.attach_path("io"), r#"{"stdout":true}"#);
    rig.start();
    let (mut total, mut frames) = (0, 0);
    while let Some((kind, payload)) = slow.frame() {
        if kind == 5 {
            break;
        }
        assert!(payload.iter().all(|&byte| byte == b'x'));
        total += payload.len();
        frames += 1;
        if frames % 50 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    assert_eq!(total, 160 * 65536);
}

#[test]
fn output_outlives_delete_and_shutdown() {
    needs_root!();
    let rig = Rig::new(
        Protocol::Grpc,
        "dd if=/dev/zero bs=64k count=12 2>/dev/null | tr '\\0' y",
    );
    rig.create(&rig.stdio("io", ""));
    let attached = Attach::connect(&rig.attach_path("io"), r#"{"stdout":true}"#);
    rig.start();
    rig.wait("");
    rig.delete("").unwrap();
    rig.shutdown();
    let received = attached.finish();
    assert_eq!((received.stdout.len(), received.exit_code), (12 * 65536, Some(0)));
}

#[test]
fn a_terminal_resizes_and_is_one_stream() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "echo err >&2; read x; stty size; exit 3");
    rig.create_with(|r| (r.terminal, r.stdout) = (true, rig.stdio("io", "&stdin=open")))
        .unwrap();
    let mut attached = Attach::everything(&rig.attach_path("io"));
    assert!(attached.tty);
    rig.start();
    attached.read_until("err\r\n");
    attached.resize(33, 77);
    attached.send(0, b"x\n");
    let received = attached.finish();
    assert!(
        String::from_utf8_lossy(&received.stdout).contains("33 77\r\n"),
        "{received:?}"
    );
    assert_eq!((received.stderr.len(), received.exit_code), (0, Some(3)));
    assert!(rig.log("io.log").iter().all(|(stream, _)| stream == "stdout"));
}

#[test]
fn a_terminal_takes_its_size_by_rpc_for_an_exec_too() {
    needs_root!();
    let rig = Rig::new(Protocol::Ttrpc, "exec sleep 1000");
    rig.create("");
    rig.start();
    let stdout = rig.stdio("e", "");
    rig.exec_with("e", &["/bin/stty", "size"], |r| {
        (r.terminal, r.stdout) = (true, stdout)
    })
    .unwrap();
    let resize = ResizePtyRequest {
        id: rig.id.clone(),
        exec_id: "e".into(),
        width: 101,
        height: 41,
    };
    rig.client.call::<_, ()>("ResizePty", &resize).unwrap();
    rig.try_start("e").unwrap();
    assert_eq!(rig.wait("e").exit_status, 0);
    assert_eq!(rig.log("e.log"), [("stdout".to_owned(), "41 101\r\n".to_owned())]);
}

#[test]
fn input_once_ends_with_its_client_and_open_does_not() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "cat; echo end");
    rig.create(&rig.stdio("io", "&stdin=once"));
    rig.start();
    let mut attached = Attach::everything(&rig.attach_path("io"));
    attached.send(0, b"in\n");
    attached.stop_sending();
    assert_eq!(attached.finish().stdout, b"in\nend\n");

    let rig = Rig::new(Protocol::Grpc, "cat; echo end");
    rig.create(&rig.stdio("io", "&stdin=open"));
    rig.start();
    let mut first = Attach::everything(&rig.attach_path("io"));
    first.send(0, b"one\n");
    first.read_until("one\n");
    drop(first);
    let mut second = Attach::connect(&rig.attach_path("io"), r#"{"stdin":true,"stdout":true}"#);
    second.send(0, b"two\n");
    second.send(3, b"");
    assert_eq!(second.finish().stdout, b"two\nend\n");
}

#[test]
fn close_io_ends_the_input() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "cat; echo end");
    rig.create(&rig.stdio("io", "&stdin=open"));
    rig.start();
    let close = CloseIoRequest {
        id: rig.id.clone(),
        exec_id: String::new(),
        stdin: true,
    };
    rig.client.call::<_, ()>("CloseIO", &close).unwrap();
    assert_eq!(rig.wait("").exit_status, 0);
    assert_eq!(rig.log("io.log"), [("stdout".to_owned(), "end\n".to_owned())]);
}

#[test]
fn a_log_rotates() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "seq 1 2000");
    rig.create(&rig.stdio("io", "&max-size=20000&max-file=3&attrs={\"tag\":\"t1\"}"));
    rig.start();
    rig.wait("");
    let kept = ["io.log.2", "io.log.1", "io.log"]
        .map(|name| rig.log(name))
        .concat();
    let numbers: Vec<u32> = kept
        .iter()
        .map(|(_, text)| text.trim().parse().unwrap())
        .collect();
    assert_eq!(numbers.last(), Some(&2000));
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert!(!rig.dir.path().join("io.log.3").exists());
    let line = std::fs::read_to_string(rig.dir.path().join("io.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(line["attrs"], json!({"tag": "t1"}));
}

#[test]
fn a_client_that_cannot_speak_is_told_so() {
    needs_root!();
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    rig.create(&rig.stdio("io", ""));
    let (_, answer) = Attach::raw(&rig.attach_path("io"), "GET / HTTP/1.1");
    assert_eq!(answer["ok"], false);
    assert!(
        answer["error"].as_str().unwrap().contains("bad first line"),
        "{answer}"
    );
}

#[test]
fn a_descendant_that_keeps_the_pipe_does_not_hold_the_exit_back() {
    needs_root!();
    let rig = Rig::with(Protocol::Grpc, |config| {
        // In the host's pid namespace nothing dies with init.
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
        config["process"]["args"] = json!(["/bin/sh", "-c", "exec sleep 1000"]);
    });
    rig.create("");
    rig.start();
    rig.exec("e", "sleep 1000 & echo done", &rig.stdio("e", ""))
        .unwrap();
    rig.try_start("e").unwrap();
    let began = std::time::Instant::now();
    assert_eq!(rig.wait("e").exit_status, 0);
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(rig.log("e.log"), [("stdout".to_owned(), "done\n".to_owned())]);
    rig.kill("", 9).unwrap();
    rig.wait("");
    support::wait_until("nothing of the container runs", || {
        let pids: client::Answer<PidsResponse> = rig.client.call("Pids", &PidsRequest { id: rig.id.clone() });
        pids.is_ok_and(|pids| pids.processes.is_empty())
    });
}

#[test]
#[ignore = "takes 30 s of silence: run it by hand"]
fn a_client_that_never_reads_is_cut_off() {
    needs_root!();
    let rig = Rig::new(
        Protocol::Grpc,
        "dd if=/dev/zero bs=64k count=100 2>/dev/null; echo end >&2",
    );
    rig.create(&format!("gantry://{}", rig.attach_path("io").display()));
    let _stuck = Attach::connect(&rig.attach_path("io"), r#"{"stdout":true}"#);
    rig.start();
    let began = std::time::Instant::now();
    assert_eq!(rig.wait("").exit_status, 0);
    assert!(
        (25..60).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
}
