//! What the integration tests share: bundles, a started shim, clients of both protocols, a stand-in for
//! the daemon that receives events.
#![allow(dead_code)]

pub mod attach;
pub mod bundle;
pub mod client;
pub mod daemon;

#[allow(clippy::all, rustdoc::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/protocols.rs"));
}

use client::{Client, Protocol};
use daemon::Daemon;
use proto::containerd::task::v3::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const SHIM: &str = env!("CARGO_BIN_EXE_containerd-shim-gantry-v1");
pub const NAMESPACE: &str = "shim-test";

/// Containers need root; without it a test says so and passes.
#[macro_export]
macro_rules! needs_root {
    () => {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
    };
}

/// A shim for one bundle, its daemon, and everything they need. Dropping it removes all traces.
pub struct Rig {
    pub dir: tempfile::TempDir,
    pub id: String,
    pub bundle: PathBuf,
    pub daemon: Daemon,
    pub address: PathBuf,
    pub protocol: Protocol,
    pub client: Client,
}

impl Rig {
    /// Makes a bundle that runs `script` with busybox's sh, and starts a shim for it.
    pub fn new(protocol: Protocol, script: &str) -> Rig {
        Rig::with(protocol, |config| {
            config["process"]["args"] = serde_json::json!(["/bin/sh", "-c", script])
        })
    }

    pub fn with(protocol: Protocol, change: impl FnOnce(&mut serde_json::Value)) -> Rig {
        Rig::assemble(protocol, None, change)
    }

    fn assemble(
        protocol: Protocol,
        publisher: Option<&Path>,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> Rig {
        let dir = tempfile::Builder::new().prefix("shim").tempdir().unwrap();
        let id = dir.path().file_name().unwrap().to_str().unwrap().replace('.', "");
        let bundle = bundle::make(dir.path(), &id, change);
        let daemon = Daemon::start(&dir.path().join("events.sock"));
        let mut start = command(dir.path(), &id, protocol);
        if let Some(publisher) = publisher {
            start
                .arg("-publish-binary")
                .arg(publisher)
                .env_remove("TTRPC_ADDRESS");
        }
        let output = start.arg("start").output().unwrap();
        assert!(
            output.status.success(),
            "start: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let address = address(&output.stdout, protocol);
        let client = Client::connect(&address, protocol);
        Rig {
            dir,
            id,
            bundle,
            daemon,
            address,
            protocol,
            client,
        }
    }

    /// A rig whose daemon takes events through the command `publisher` alone.
    pub fn publishing(publisher: &Path, script: &str) -> Rig {
        let change = |config: &mut serde_json::Value| {
            config["process"]["args"] = serde_json::json!(["/bin/sh", "-c", script]);
        };
        Rig::assemble(Protocol::Ttrpc, Some(publisher), change)
    }

    pub fn shim_pid(&self) -> i32 {
        std::fs::read_to_string(self.bundle.join("shim.pid"))
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Our own stdio, with a log and the given input mode.
    pub fn stdio(&self, name: &str, more: &str) -> String {
        let dir = self.dir.path().display();
        format!("gantry://{dir}/{name}.sock?log={dir}/{name}.log{more}")
    }

    pub fn attach_path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.sock"))
    }

    /// The text that the log `name` holds, with the stream of each line.
    pub fn log(&self, name: &str) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(self.dir.path().join(name)).unwrap();
        let word = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .map(|line| (word(&line, "stream"), word(&line, "log")))
            .collect()
    }

    pub fn create(&self, stdout: &str) -> CreateTaskResponse {
        self.create_with(|request| request.stdout = stdout.to_owned())
            .unwrap()
    }

    pub fn create_with(
        &self,
        change: impl FnOnce(&mut CreateTaskRequest),
    ) -> client::Answer<CreateTaskResponse> {
        let mut request = CreateTaskRequest {
            id: self.id.clone(),
            bundle: self.bundle.to_str().unwrap().to_owned(),
            ..Default::default()
        };
        change(&mut request);
        self.client.call("Create", &request)
    }

    pub fn start(&self) -> u32 {
        self.try_start("").unwrap().pid
    }

    pub fn try_start(&self, exec_id: &str) -> client::Answer<StartResponse> {
        self.client.call(
            "Start",
            &StartRequest {
                id: self.id.clone(),
                exec_id: exec_id.into(),
            },
        )
    }

    pub fn wait(&self, exec_id: &str) -> WaitResponse {
        // A connection of its own, as waiting may take a while.
        let client = Client::connect(&self.address, self.protocol);
        client
            .call(
                "Wait",
                &WaitRequest {
                    id: self.id.clone(),
                    exec_id: exec_id.into(),
                },
            )
            .unwrap()
    }

    pub fn state(&self, exec_id: &str) -> client::Answer<StateResponse> {
        self.client.call(
            "State",
            &StateRequest {
                id: self.id.clone(),
                exec_id: exec_id.into(),
            },
        )
    }

    pub fn kill(&self, exec_id: &str, signal: i32) -> client::Answer<()> {
        let (id, exec_id) = (self.id.clone(), exec_id.to_owned());
        self.client.call(
            "Kill",
            &KillRequest {
                id,
                exec_id,
                signal: signal as u32,
                all: false,
            },
        )
    }

    pub fn delete(&self, exec_id: &str) -> client::Answer<DeleteResponse> {
        self.client.call(
            "Delete",
            &DeleteRequest {
                id: self.id.clone(),
                exec_id: exec_id.into(),
            },
        )
    }

    pub fn exec(&self, exec_id: &str, script: &str, stdout: &str) -> client::Answer<()> {
        self.exec_with(exec_id, &["/bin/sh", "-c", script], |request| {
            request.stdout = stdout.to_owned()
        })
    }

    pub fn exec_with(
        &self,
        exec_id: &str,
        args: &[&str],
        change: impl FnOnce(&mut ExecProcessRequest),
    ) -> client::Answer<()> {
        let process =
            serde_json::json!({"args": args, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}});
        let mut request = ExecProcessRequest {
            id: self.id.clone(),
            exec_id: exec_id.into(),
            spec: Some(prost_types::Any {
                type_url: "types.containerd.io/opencontainers/runtime-spec/1/Process".into(),
                value: process.to_string().into_bytes(),
            }),
            ..Default::default()
        };
        change(&mut request);
        self.client.call("Exec", &request)
    }

    pub fn shutdown(&self) {
        self.client
            .call::<_, ()>(
                "Shutdown",
                &ShutdownRequest {
                    id: self.id.clone(),
                    now: false,
                },
            )
            .unwrap();
    }

    /// Runs the shim's `delete` action.
    pub fn delete_action(&self) -> (DeleteResponse, Output) {
        let output = command(self.dir.path(), &self.id, self.protocol)
            .arg("delete")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "delete: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        (prost::Message::decode(output.stdout.as_slice()).unwrap(), output)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.bundle.join("shim.pid"))
            .ok()
            .and_then(|pid| pid.parse::<i32>().ok());
        // Only if it is still ours: its command line names this very test's socket address.
        if let Some(pid) = pid.filter(|pid| is_shim(*pid, &self.id)) {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid).unwrap(),
                rustix::process::Signal::KILL,
            );
            wait_until("the shim is gone", || !is_shim(pid, &self.id));
        }
        let _ = command(self.dir.path(), &self.id, self.protocol)
            .arg("delete")
            .output();
    }
}

pub fn is_shim(pid: i32, id: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).split('\0').any(|word| word == id)
}

/// Polls until `condition` holds, at most ten seconds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn command(dir: &Path, id: &str, protocol: Protocol) -> Command {
    let mut command = Command::new(SHIM);
    command
        .current_dir(dir.join(id))
        .args(["-namespace", NAMESPACE, "-id", id, "-address"])
        .arg(dir.join("daemon.sock"))
        .args(["-publish-binary", "/bin/false"])
        .env("TTRPC_ADDRESS", dir.join("events.sock"))
        .env("GANTRY_SHIM_SOCKET_DIR", dir.join("s"))
        .stdin(Stdio::null());
    if protocol == Protocol::Grpc {
        command.env("GANTRY_SHIM_PROTOCOL", "grpc");
    }
    command
}

fn address(answer: &[u8], protocol: Protocol) -> PathBuf {
    match protocol {
        Protocol::Ttrpc => String::from_utf8(answer.to_vec())
            .unwrap()
            .strip_prefix("unix://")
            .unwrap()
            .into(),
        Protocol::Grpc => {
            let answer: serde_json::Value = serde_json::from_slice(answer).unwrap();
            assert_eq!(
                (&answer["version"], &answer["protocol"]),
                (&3.into(), &"grpc".into())
            );
            answer["address"].as_str().unwrap().into()
        }
    }
}
