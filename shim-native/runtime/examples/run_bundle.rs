//! Runs a bundle end to end and prints what each step took.
//!
//! ```text
//! run_bundle BUNDLE [ROUNDS]
//! ```
//!
//! The container's streams are this program's; its exit code is passed on. With more than one round the
//! middle of all rounds is printed per step.

use gantry_runtime::{CgroupConfig, Container, CreateOptions, Stdio, spec::Spec};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

const STEPS: [&str; 5] = ["parse", "create", "start", "wait", "delete"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, bundle, rest @ ..] = &arguments[..] else {
        return Err("usage: run_bundle BUNDLE [ROUNDS]".into());
    };
    let rounds: usize = rest.first().map_or(Ok(1), |text| text.parse())?;
    let bundle = std::fs::canonicalize(bundle)?;
    let mut times: [Vec<Duration>; STEPS.len() + 1] = Default::default();
    let mut code = 0;
    for round in 0..rounds {
        let started = Instant::now();
        let taken = run(
            &bundle,
            &format!("example-{}-{round}", std::process::id()),
            &mut code,
        )?;
        taken
            .iter()
            .zip(&mut times)
            .for_each(|(step, list)| list.push(*step));
        times[STEPS.len()].push(started.elapsed());
        if let Some(pause) = rest.get(1) {
            std::thread::sleep(Duration::from_millis(pause.parse()?));
        }
    }
    for (name, list) in STEPS.iter().chain(&["total"]).zip(&mut times) {
        list.sort();
        let (middle, last) = (list[list.len() / 2], list[list.len() - 1]);
        eprintln!(
            "{name:>8}  best {:>9.3?}  middle {middle:>9.3?}  worst {last:>9.3?}",
            list[0]
        );
    }
    std::process::exit(code);
}

fn run(bundle: &Path, id: &str, code: &mut i32) -> Result<[Duration; 5], Box<dyn std::error::Error>> {
    let mut clock = Clock(Instant::now());
    let spec: Spec = serde_json::from_reader(std::io::BufReader::new(std::fs::File::open(
        bundle.join("config.json"),
    )?))?;
    let parse = clock.lap();
    let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned();
    let created = Container::create(
        spec,
        CreateOptions {
            id,
            bundle,
            rootfs_mounts: &[],
            stdio: Stdio::Piped {
                stdin: own(std::io::stdin().as_fd())?,
                stdout: own(std::io::stdout().as_fd())?,
                stderr: own(std::io::stderr().as_fd())?,
            },
            cgroup: CgroupConfig {
                default_parent: "/gantry-example".into(),
                ..CgroupConfig::default()
            },
            no_new_keyring: false,
            no_pivot_root: false,
            io_owner: None,
        },
    )?;
    let create = clock.lap();
    let mut container = created.container;
    let mut warnings = created.warnings;
    warnings.extend(container.start()?);
    let start = clock.lap();
    *code = wait(container.init_pid())?;
    let waited = clock.lap();
    warnings.extend(container.delete()?);
    let delete = clock.lap();
    for warning in warnings {
        eprintln!("warning: {}: {}", warning.step.label(), warning.message);
    }
    Ok([parse, create, start, waited, delete])
}

fn wait(pid: i32) -> Result<i32, Box<dyn std::error::Error>> {
    use rustix::process::{Pid, WaitOptions, waitpid};
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty())?.ok_or("nothing to wait for")?;
    Ok(status
        .exit_status()
        .unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0)))
}

struct Clock(Instant);

impl Clock {
    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        std::mem::replace(&mut self.0, now).elapsed()
    }
}
