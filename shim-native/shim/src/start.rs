//! The actions that answer and end at once: `start` and `-info`.

use crate::args::Args;
use crate::bootstrap::{self, Input};
use crate::proto::containerd::runc::v1::Options;
use crate::proto::containerd::types::{RuntimeInfo, RuntimeVersion};
use crate::socket::{self, Listening};
use crate::{daemonize, log};
use prost::Message;
use prost_types::Any;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Most bytes read from standard input.
const MAX_INPUT: u64 = 10 << 20;

/// Annotations whose value makes containers share one shim, in order of precedence.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// The part of `config.json` that `start` looks at.
#[derive(Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: HashMap<String, String>,
}

/// Brings up a shim for the bundle in the working directory (or joins the group's), prints its address.
pub fn start(args: &Args) -> Result<(), String> {
    let input = Input::parse(&read_stdin()?, &args.id, &args.namespace)?;
    let bundle = bundle(args)?;
    log::open(&bundle, &args.namespace, &args.id, args.debug);
    let path = socket_path(args, &input, &bundle)?;
    let text = path.to_str().ok_or("the socket directory is not UTF-8")?;
    let listening = socket::listen(&path).map_err(|e| format!("socket {text}: {e}"))?;
    if let Listening::New(listener) = listening {
        let debug = args.debug || input.wants_debug();
        let pid = daemonize::spawn(args, listener, debug).map_err(|e| format!("starting the shim: {e}"))?;
        write_file(&bundle.join("shim.pid"), &pid.to_string())?;
        daemonize::adjust_oom_score(pid).map_err(|e| format!("oom score of the shim: {e}"))?;
        join_cgroup(pid, input.options.as_ref())?;
    }
    write_file(&bundle.join("address"), &format!("unix://{text}"))?;
    let wanted = std::env::var(bootstrap::PROTOCOL_VARIABLE).ok();
    print(&input.dialect(wanted.as_deref()).answer(text))
}

/// Type of `RuntimeInfo.features` (containerd registers OCI's Go types under such names).
const FEATURES_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// Prints `RuntimeInfo`.
pub fn info() -> Result<(), String> {
    let options = Options::default().encode_to_vec();
    let features = serde_json::to_vec(&gantry_runtime::features()).map_err(|e| format!("features: {e}"))?;
    let info = RuntimeInfo {
        name: "io.containerd.gantry.v1".into(),
        version: Some(RuntimeVersion {
            version: env!("CARGO_PKG_VERSION").into(),
            revision: String::new(),
        }),
        options: Some(Any {
            type_url: "containerd.runc.v1.Options".into(),
            value: options,
        }),
        features: Some(Any {
            type_url: FEATURES_TYPE.into(),
            value: features,
        }),
        ..RuntimeInfo::default()
    };
    print(&info.encode_to_vec())
}

/// The bundle directory: `-bundle`, or the working directory.
pub fn bundle(args: &Args) -> Result<PathBuf, String> {
    let here = std::env::current_dir().map_err(|e| format!("working directory: {e}"))?;
    Ok(here.join(&args.bundle))
}

/// Prints an answer, which may be binary.
pub fn print(answer: &[u8]) -> Result<(), String> {
    io::stdout()
        .write_all(answer)
        .map_err(|e| format!("standard output: {e}"))
}

fn read_stdin() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match io::stdin().take(MAX_INPUT).read_to_end(&mut bytes) {
        // Closed by the caller: no options.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(Vec::new()),
        Err(error) => Err(format!("standard input: {error}")),
        Ok(_) => Ok(bytes),
    }
}

fn socket_path(args: &Args, input: &Input, bundle: &Path) -> Result<PathBuf, String> {
    if !args.socket.is_empty() {
        return Ok(PathBuf::from(args.socket.trim_start_matches("unix://")));
    }
    let dir = socket::directory(std::env::var(socket::DIR_VARIABLE).ok(), input.socket_dir());
    let group = group(bundle)?;
    socket::path(
        &dir,
        &args.address,
        &args.namespace,
        group.as_deref().unwrap_or(&args.id),
    )
}

fn group(bundle: &Path) -> Result<Option<String>, String> {
    let path = bundle.join("config.json");
    let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut spec: Annotated =
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(GROUPS.iter().find_map(|name| spec.annotations.remove(*name)))
}

/// Puts the shim into the cgroup its options name, in every hierarchy that has such a group.
fn join_cgroup(pid: u32, options: Option<&Options>) -> Result<(), String> {
    let Some(group) = options
        .map(|o| o.shim_cgroup.trim_matches('/'))
        .filter(|g| !g.is_empty())
    else {
        return Ok(());
    };
    if group.split('/').any(|part| part == "..") {
        return Err(format!("shim_cgroup {group:?} must not contain \"..\""));
    }
    let root = Path::new("/sys/fs/cgroup");
    let trees = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut joined = false;
    for tree in trees.chain([root.to_owned()]) {
        let procs = tree.join(group).join("cgroup.procs");
        if procs.exists() {
            write_file(&procs, &pid.to_string())?;
            joined = true;
        }
    }
    if joined {
        Ok(())
    } else {
        Err(format!("shim_cgroup {group:?} does not exist"))
    }
}

pub fn write_file(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
