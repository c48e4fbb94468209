//! Starts a bundle, runs further processes in it one after the other, and prints what each took until it ran, and until it
//! had ended.
//!
//! ```text
//! exec_in_bundle BUNDLE ROUNDS PROGRAM [ARGUMENT...]
//! ```
//!
//! The bundle's own program has to run for as long (`sleep`); it is killed at the end.

use gantry_runtime::spec::{Process, Spec};
use gantry_runtime::{CgroupConfig, Container, CreateOptions, ExecOptions, Stdio};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, bundle, rounds, program @ ..] = &arguments[..] else {
        return Err("usage: exec_in_bundle BUNDLE ROUNDS PROGRAM [ARGUMENT...]".into());
    };
    let bundle = std::fs::canonicalize(bundle)?;
    let spec: Spec = serde_json::from_reader(File::open(bundle.join("config.json"))?)?;
    let mut process = spec.process().clone().ok_or("the bundle has no process")?;
    process.set_args(Some(program.to_vec()));
    let mut container = start(spec, &bundle)?;
    let times: Result<Vec<_>, Failure> = (0..rounds.parse()?).map(|_| exec(&container, &process)).collect();
    container.kill(libc::SIGKILL, true)?;
    waitpid(Pid::from_raw(container.init_pid()), WaitOptions::empty())?;
    container.delete()?;
    let (mut running, mut ended): (Vec<_>, Vec<_>) = times?.into_iter().unzip();
    print("running", &mut running);
    print("ended", &mut ended);
    Ok(())
}

fn start(spec: Spec, bundle: &Path) -> Result<Container, Failure> {
    let id = format!("example-{}", std::process::id());
    let options = CreateOptions {
        id: &id,
        bundle,
        rootfs_mounts: &[],
        stdio: nothing()?,
        cgroup: CgroupConfig {
            default_parent: "/".into(),
            ..CgroupConfig::default()
        },
        no_new_keyring: false,
        no_pivot_root: false,
        io_owner: None,
    };
    let mut container = Container::create(spec, options)?.container;
    container.start()?;
    Ok(container)
}

fn nothing() -> Result<Stdio, Failure> {
    Ok(Stdio::Piped {
        stdin: File::open("/dev/null")?.into(),
        stdout: File::options().write(true).open("/dev/null")?.into(),
        stderr: File::options().write(true).open("/dev/null")?.into(),
    })
}

fn exec(container: &Container, process: &Process) -> Result<(Duration, Duration), Failure> {
    let asked = Instant::now();
    let options = ExecOptions {
        stdio: nothing()?,
        no_new_keyring: false,
        io_owner: None,
    };
    let made = container.exec(process, options)?;
    let running = asked.elapsed();
    waitpid(Pid::from_raw(made.pid), WaitOptions::empty())?;
    Ok((running, asked.elapsed()))
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort();
    if let (Some(best), Some(worst)) = (times.first(), times.last()) {
        let middle = times[times.len() / 2];
        eprintln!("{name:>8}  best {best:>9.3?}  middle {middle:>9.3?}  worst {worst:>9.3?}");
    }
}
