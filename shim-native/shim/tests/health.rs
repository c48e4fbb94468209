//! Health checks: the shim probes by itself and tells who listens.

mod support;

use prost::Message;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use support::Rig;
use support::client::Protocol;
use support::proto::gantry::health::v1::{Health, HealthChanged};

/// A rig whose container sleeps, with a check that asks so, often.
fn rig(ask: Value, change: impl FnOnce(&mut Value)) -> Rig {
    let rig = Rig::new(Protocol::Grpc, "exec sleep 1000");
    let mut check = json!({
        "socket": rig.dir.path().join("health.sock"), "ask": ask, "retries": 2,
        "intervalMs": 50, "timeoutMs": 20000, "startPeriodMs": 0, "startIntervalMs": 50,
    });
    change(&mut check);
    std::fs::write(rig.bundle.join("health-check.json"), check.to_string()).unwrap();
    rig.create("");
    rig.start();
    rig
}

fn shell(script: &str) -> Value {
    json!({"process": {
        "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": ["/bin/sh", "-c", script]
    }})
}

/// What the health socket says, message by message.
struct Follower(UnixStream);

impl Follower {
    fn new(rig: &Rig) -> Self {
        Follower(UnixStream::connect(rig.dir.path().join("health.sock")).unwrap())
    }

    /// `None` at the end of the container.
    fn next(&mut self) -> Option<Health> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes).unwrap();
        Some(Health::decode(bytes.as_slice()).unwrap())
    }

    fn until(&mut self, fits: impl Fn(&Health) -> bool) -> Health {
        loop {
            let health = self.next().expect("the container runs");
            if fits(&health) {
                return health;
            }
        }
    }
}

fn changes(rig: &Rig, count: usize) -> Vec<(String, bool)> {
    let all = || -> Vec<(String, bool)> {
        let events = rig.daemon.events(0);
        let ours = events.iter().filter(|event| event.topic == "/health/status");
        ours.map(|event| HealthChanged::decode(event.event.as_ref().unwrap().value.as_slice()).unwrap())
            .map(|changed| (changed.health.unwrap().status, changed.ended))
            .collect()
    };
    support::wait_until("enough changes came", || all().len() >= count);
    all()
}

#[test]
fn changes_are_told_to_the_daemon_and_each_probe_to_followers() {
    needs_root!();
    let rig = rig(shell("echo seen; test ! -e /sick"), |_| {});
    let mut follower = Follower::new(&rig);
    let well = follower.until(|health| health.status == "healthy" && health.failing_streak == 0);
    assert!(well.log.len() <= 5 && well.log.last().unwrap().output == "seen\n");
    let next = follower.next().unwrap();
    assert_eq!(
        next.log.len(),
        1,
        "a message after the first one holds the new probe"
    );

    std::fs::write(rig.bundle.join("rootfs/sick"), "").unwrap();
    let failed = follower.until(|health| health.failing_streak > 0);
    assert_eq!((failed.status.as_str(), failed.failing_streak), ("healthy", 1));
    let sick = follower.until(|health| health.status == "unhealthy");
    assert_eq!((sick.failing_streak, sick.log[0].exit_code), (2, 1));
    assert_eq!(
        changes(&rig, 2),
        [("healthy".into(), false), ("unhealthy".into(), false)]
    );

    rig.kill("", 9).unwrap();
    assert_eq!(rig.wait("").exit_status, 137);
    while follower.next().is_some() {}
    assert_eq!(changes(&rig, 3)[2], ("unhealthy".into(), true));
    let topics = rig.daemon.topics(6);
    assert_eq!(
        topics,
        [
            "create",
            "start",
            "/health/status",
            "/health/status",
            "/health/status",
            "exit"
        ],
        "probes are no execs, and the last word on health comes before the exit"
    );
    assert!(!rig.dir.path().join("health.sock").exists());
}

#[test]
fn a_probe_past_its_time_is_killed() {
    needs_root!();
    let rig = rig(shell("echo on it; exec sleep 1000"), |check| {
        check["timeoutMs"] = json!(300);
    });
    let late = Follower::new(&rig).until(|health| !health.log.is_empty());
    let probe = &late.log[0];
    assert_eq!(probe.exit_code, -1);
    assert_eq!(probe.output, "Health check exceeded timeout (0.3s): on it\n");
}

#[test]
fn much_output_is_cut_and_does_not_hold_a_probe_up() {
    needs_root!();
    let rig = rig(shell("head -c 300000 /bin/busybox | tr -c a a; exit 3"), |_| {});
    let health = Follower::new(&rig).until(|health| !health.log.is_empty());
    assert_eq!(health.log[0].exit_code, 3);
    assert_eq!(health.log[0].output, format!("{}...", "a".repeat(4096)));
}

#[test]
fn a_program_that_is_not_there_is_a_failed_probe() {
    needs_root!();
    let mut ask = shell("");
    ask["process"]["args"] = json!(["/nonexistent"]);
    let health = Follower::new(&rig(ask, |_| {})).until(|health| health.status == "unhealthy");
    let probe = health.log.last().unwrap();
    assert_eq!(probe.exit_code, -1);
    assert!(probe.output.contains("/nonexistent"), "{}", probe.output);
}

#[test]
fn addresses_are_asked_by_the_shim() {
    needs_root!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let count = client.read(&mut request).unwrap_or(0);
            let is_fine = request[..count].starts_with(b"GET /fine HTTP/1.0\r\n");
            let status = if is_fine { "200 OK" } else { "404 Not Found" };
            let _ = write!(client, "HTTP/1.0 {status}\r\n\r\nbody");
        }
    });
    let asked = |ask: Value| {
        let health = Follower::new(&rig(ask, |_| {})).until(|health| !health.log.is_empty());
        (health.log[0].exit_code, health.log[0].output.clone())
    };
    let http = |path: &str| json!({"http": {"port": port, "host": "localhost", "path": path}});
    assert_eq!(asked(http("/fine")), (0, "200 OK\nbody".into()));
    assert_eq!(asked(http("/other")), (1, "404 Not Found\nbody".into()));
    let (code, output) = asked(json!({"tcp": {"port": port}}));
    assert_eq!((code, output), (0, format!("connected to 127.0.0.1:{port}")));
    let (code, output) = asked(json!({"tcp": {"port": 1}}));
    assert!(code == 1 && output.contains("refused"), "{code} {output}");
}
