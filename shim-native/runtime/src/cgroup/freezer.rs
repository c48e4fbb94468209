//! Freezing and thawing, done when the kernel says so.

use super::files;
use super::group::Cgroup;
use super::{CgroupKind, v1};
use crate::error::{Error, Step};
use rustix::io::Errno;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for every process to stop. A process in an uninterruptible call may need long.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn set(group: &Cgroup, frozen: bool) -> Result<(), Error> {
    match (group.kind, group.v1_dir("freezer"), &group.v2) {
        (CgroupKind::V2, _, Some(dir)) | (_, None, Some(dir)) => set_v2(dir, frozen),
        (_, Some(dir), _) => set_v1(dir, frozen),
        (_, None, None) => {
            let why = "the host has no freezer".to_owned();
            Err(Error::Unsupported {
                what: "pause".into(),
                why,
            })
        }
    }
}

fn set_v2(dir: &Path, frozen: bool) -> Result<(), Error> {
    files::write(dir, "cgroup.freeze", if frozen { "1" } else { "0" })?;
    let wanted = if frozen { "frozen 1" } else { "frozen 0" };
    wait(dir, frozen, || {
        Ok(files::read(dir, "cgroup.events")?
            .lines()
            .any(|line| line == wanted))
    })
}

/// v1's freezer can miss a process that forks meanwhile, so the wish is repeated (cgroup-v1/freezer-subsystem).
fn set_v1(dir: &Path, frozen: bool) -> Result<(), Error> {
    let wanted = if frozen { v1::FROZEN } else { v1::THAWED };
    wait(dir, frozen, || {
        files::write(dir, "freezer.state", wanted)?;
        Ok(files::read(dir, "freezer.state")?.trim() == wanted)
    })
}

/// Polls until `reached`. A freeze that takes too long is taken back: half-frozen is worse than running.
fn wait(dir: &Path, frozen: bool, reached: impl Fn() -> Result<bool, Error>) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(50);
    while !reached()? {
        if Instant::now() > deadline {
            if frozen {
                let _ = set(&group_of(dir), false);
            }
            let subject = format!(
                "waiting for {} to {}",
                dir.display(),
                if frozen { "freeze" } else { "thaw" }
            );
            return Err(Error::system(Step::Cgroup, subject, Errno::TIMEDOUT));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    Ok(())
}

/// A group that consists of the frozen directory alone, for taking a freeze back.
fn group_of(dir: &Path) -> Cgroup {
    let is_v1 = dir.join("freezer.state").exists();
    let v1_group = super::group::V1Group {
        controllers: vec!["freezer".to_owned()],
        mount: dir.to_owned(),
        dir: dir.to_owned(),
    };
    Cgroup {
        kind: if is_v1 { CgroupKind::V1 } else { CgroupKind::V2 },
        path: String::new(),
        v1: if is_v1 { vec![v1_group] } else { Vec::new() },
        v2: (!is_v1).then(|| dir.to_owned()),
        unit: None,
        shared_parent: None,
    }
}
