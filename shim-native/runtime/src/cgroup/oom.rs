//! News of the OOM killer: an eventfd of the v1 memory controller, or inotify on v2's memory.events.

use super::CgroupKind;
use super::files::pairs;
use super::group::Cgroup;
use super::host::errno;
use crate::error::{Error, Step};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{CWD, Mode, OFlags, inotify};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) enum OomWatch {
    V1 {
        eventfd: OwnedFd,
    },
    V2 {
        inotify: OwnedFd,
        events: PathBuf,
        seen: u64,
    },
}

impl Cgroup {
    /// Starts watching; `None` where no memory controller is.
    pub(crate) fn watch_oom(&self) -> Result<Option<OomWatch>, Error> {
        match (self.kind, &self.v2, self.v1_dir("memory")) {
            (CgroupKind::V2, Some(dir), _) => watch_v2(dir).map(Some),
            (_, _, Some(dir)) => watch_v1(dir).map(Some),
            _ => Ok(None),
        }
    }
}

fn failed(path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| Error::system(Step::Cgroup, format!("watching {}", path.display()), errno)
}

fn watch_v1(dir: &Path) -> Result<OomWatch, Error> {
    let path = dir.join("memory.oom_control");
    let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed(&path))?;
    let control = rustix::fs::openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let control = control.map_err(failed(&path))?;
    let line = format!("{} {}", eventfd.as_raw_fd(), control.as_raw_fd());
    super::files::write(dir, "cgroup.event_control", &line)?;
    Ok(OomWatch::V1 { eventfd })
}

fn watch_v2(dir: &Path) -> Result<OomWatch, Error> {
    let events = dir.join("memory.events");
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let inotify = inotify::init(flags).map_err(failed(&events))?;
    inotify::add_watch(&inotify, &events, inotify::WatchFlags::MODIFY).map_err(failed(&events))?;
    let seen = oom_kills(&events).map_err(|error| failed(&events)(errno(&error)))?;
    Ok(OomWatch::V2 {
        inotify,
        events,
        seen,
    })
}

fn oom_kills(events: &Path) -> std::io::Result<u64> {
    let text = std::fs::read_to_string(events)?;
    Ok(pairs(&text)
        .find(|(name, _)| *name == "oom_kill")
        .map_or(0, |(_, count)| count))
}

impl OomWatch {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            OomWatch::V1 { eventfd } => eventfd.as_fd(),
            OomWatch::V2 { inotify, .. } => inotify.as_fd(),
        }
    }

    /// Consumes the news and counts what is new. The group's end also wakes the watcher: that counts 0.
    pub(crate) fn drain(&mut self) -> Result<u64, Errno> {
        let mut buffer = [0u8; 1024];
        match self {
            OomWatch::V1 { eventfd } => match rustix::io::read(&*eventfd, &mut buffer[..8]) {
                Err(Errno::AGAIN) => Ok(0),
                Err(errno) => Err(errno),
                Ok(_) => Ok(u64::from_ne_bytes(buffer[..8].try_into().unwrap_or_default())),
            },
            OomWatch::V2 {
                inotify,
                events,
                seen,
            } => {
                while rustix::io::read(&*inotify, &mut buffer).is_ok_and(|length| length > 0) {}
                let now = oom_kills(events).unwrap_or(*seen);
                let new = now.saturating_sub(*seen);
                *seen = now;
                Ok(new)
            }
        }
    }
}
