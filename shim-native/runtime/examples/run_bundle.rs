//! Runs a bundle end to end and prints what each step took.
//!
//! ```text
//! run_bundle BUNDLE [ROUNDS [PAUSE_MS]]
//! ```
//!
//! The container's streams are this program's; its exit code is passed on. The best, the middle and the worst of all
//! rounds are printed per verb; with more than one round also per step of the library, which costs some time itself.
//! Without a `cgroupsPath` the container's group lies where runc puts it: right below the root.

use gantry_runtime::trace::{self, Step};
use gantry_runtime::{CgroupConfig, Container, CreateOptions, Stdio, spec::Spec};
use std::collections::BTreeMap;
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
    let mut steps = Steps::default();
    for round in 0..rounds {
        let id = format!("example-{}-{round}", std::process::id());
        let started = Instant::now();
        let taken = if rounds == 1 {
            run(&bundle, &id, &mut code)?
        } else {
            steps.record(|| run(&bundle, &id, &mut code))?
        };
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
        print(name, list);
    }
    steps.print();
    std::process::exit(code);
}

fn print(name: &str, times: &mut [Duration]) {
    times.sort();
    let (best, middle, worst) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    eprintln!("{name:>40}  best {best:>9.3?}  middle {middle:>9.3?}  worst {worst:>9.3?}");
}

/// What the library says of itself, by the step's name and its order.
#[derive(Default)]
struct Steps(BTreeMap<(usize, String), Vec<Duration>>);

impl Steps {
    fn record<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let mut steps: Vec<Step> = Vec::new();
        let result = trace::record(&mut steps, work);
        steps.sort_by_key(|step| step.start_ns);
        for (order, step) in steps.iter().enumerate() {
            let name = if step.pid == 0 { "" } else { "init: " };
            let time = Duration::from_nanos(step.end_ns - step.start_ns);
            let times = self.0.entry((order, format!("{name}{}", step.name)));
            times.or_default().push(time);
        }
        result
    }

    fn print(&mut self) {
        for ((_, name), times) in &mut self.0 {
            print(name, times);
        }
    }
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
                default_parent: "/".into(),
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
