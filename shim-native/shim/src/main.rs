//! `containerd-shim-gantry-v1`: keeps one container, or those of one group or sandbox, and tells whoever asks about them.
//!
//! `start` leaves a background process behind that serves containerd's Task API on one unix socket, over
//! gRPC (Task v3, Gantry's core) and over ttrpc (Task v2 and v3, containerd). It makes the container
//! itself with the `gantry-runtime` library, owns the container's stdio, reaps, and publishes events. It
//! outlives the daemon that started it.

mod args;
mod awaiting;
mod bootstrap;
mod criu;
mod daemonize;
mod events;
mod lingering;
mod log;
mod memory;
mod process;
mod proto;
mod reaper;
mod sandbox;
mod serve;
mod socket;
mod start;
mod stdio;
mod task;
mod teardown;
mod trace;
mod ttrpc;

use args::{Action, Args};
use std::process::ExitCode;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("containerd-shim-gantry-v1: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    match args.action {
        Action::Start => start::start(args),
        Action::Delete => teardown::delete(args),
        Action::Info => start::info(),
        Action::Version => {
            println!(
                "containerd-shim-gantry-v1:\n  Version:  {}",
                env!("CARGO_PKG_VERSION")
            );
            Ok(())
        }
        Action::Await => awaiting::serve(args),
        Action::Serve => serve::serve(args),
    }
}
