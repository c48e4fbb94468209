//! A shim that is there before its container: what starting a process costs is paid ahead.
//!
//! `await` reads one line of JSON, an [`Assignment`], from standard input, answers the socket as `start`
//! would in Gantry's dialect, and is that container's shim from then on. Until that line comes it belongs
//! to the daemon: when the daemon closes its end, or dies, it exits and leaves nothing.

use crate::args::{Action, Args};
use crate::bootstrap::Dialect;
use crate::serve;
use crate::socket::{self, Listening};
use crate::{daemonize, start};
use serde::Deserialize;
use std::io::{self, BufRead, Read};
use std::path::PathBuf;

/// Most bytes of an assignment.
const MAX_LINE: u64 = 64 << 10;

/// Which container it is.
#[derive(Deserialize)]
struct Assignment {
    namespace: String,
    id: String,
    /// Absolute.
    bundle: PathBuf,
    #[serde(default)]
    debug: bool,
}

/// Waits, and serves; returns at once when nothing will come.
pub fn serve(args: &Args) -> Result<(), String> {
    if args.program_fd.is_none() {
        let words = [
            "-address",
            &args.address,
            "-publish-binary",
            &args.publish_binary,
            "await",
        ];
        // A binary that cannot be sealed runs as it is, as after `start`.
        drop(daemonize::execute_sealed(&words));
    }
    daemonize::inherited(args).map_err(|e| e.to_string())?;
    daemonize::detach().map_err(|e| format!("detaching: {e}"))?;
    daemonize::adjust_oom_score(std::process::id()).map_err(|e| format!("oom score of the shim: {e}"))?;
    let Some(assignment) = read_assignment()? else {
        return Ok(());
    };
    std::env::set_current_dir(&assignment.bundle)
        .map_err(|e| format!("{}: {e}", assignment.bundle.display()))?;
    let args = args.assigned(assignment)?;
    let listener = listen(&args)?;
    silence().map_err(|e| format!("standard streams: {e}"))?;
    serve::serve_on(&args, listener)
}

/// `None`: the daemon closed its end.
fn read_assignment() -> Result<Option<Assignment>, String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(MAX_LINE)
        .read_line(&mut line)
        .map_err(|e| format!("standard input: {e}"))?;
    if !line.ends_with('\n') {
        return Ok(None);
    }
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|e| format!("an assignment: {e}"))
}

impl Args {
    fn assigned(&self, assignment: Assignment) -> Result<Args, String> {
        Args {
            action: Action::Serve,
            namespace: assignment.namespace,
            id: assignment.id,
            bundle: String::new(),
            debug: assignment.debug,
            ..self.clone()
        }
        .checked()
    }
}

/// Takes the container's socket, leaves in the bundle what `start` would, and answers.
fn listen(args: &Args) -> Result<std::os::unix::net::UnixListener, String> {
    let dir = socket::directory(std::env::var(socket::DIR_VARIABLE).ok(), None);
    let path = socket::path(&dir, &args.address, &args.namespace, &args.id)?;
    let text = path.to_str().ok_or("the socket directory is not UTF-8")?;
    let Listening::New(listener) = socket::listen(&path).map_err(|e| format!("socket {text}: {e}"))? else {
        return Err(format!("socket {text}: another shim answers there"));
    };
    let bundle = start::bundle(args)?;
    start::write_file(&bundle.join("shim.pid"), &std::process::id().to_string())?;
    start::write_file(&bundle.join("address"), &format!("unix://{text}"))?;
    start::print(&Dialect::Gantry.answer(text))?;
    start::print(b"\n")?;
    Ok(listener)
}

/// From now on the daemon's ends of the streams are nobody's.
fn silence() -> io::Result<()> {
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
