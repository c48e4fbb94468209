//! Making the container's process: one `clone3` where that is enough, else through a short-lived helper.
//!
//! The helper is needed when namespaces must be entered before the process is made (a pid or time
//! namespace holds for children only; new namespaces must belong to a joined user namespace), and when the
//! caller has more threads (a raw clone of a threaded process must not allocate; glibc's fork may). The
//! helper makes the process with `CLONE_PARENT`, so that it is the caller's child all the same.
//!
//! The helper is a guest in the caller's memory where that can be (see [`in_guest`]), else a fork.

use crate::error::{Error, Step};
use crate::kernel::{Cloned, clone3, exit_now, in_guest, reset_signals, thread_count};
use crate::protocol::{Channel, Message, unexpected};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A process that runs the child's side of the set-up.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub channel: Channel,
}

/// How to make it.
pub(crate) struct Request<'a> {
    /// `CLONE_NEW*` bits for clone3.
    pub flags: u64,
    /// v2 group to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// What the helper does before making the process. `None`: no helper unless threads demand it.
    pub prepare: Option<&'a dyn Fn() -> Result<(), Error>>,
    /// It concerns a time namespace, for which the helper needs memory of its own.
    pub enters_time: bool,
}

/// Makes the process; `child` runs in it and ends by executing or exiting.
pub(crate) fn spawn(request: &Request<'_>, child: impl FnOnce(&Channel) -> Error) -> Result<Spawned, Error> {
    let (ours, theirs) = Channel::pair()?;
    let alone = thread_count() == 1;
    let (pid, pidfd) = match request.prepare {
        None if alone => match clone3(request.flags, request.cgroup).map_err(clone_error)? {
            Cloned::Child => {
                drop(ours);
                run(theirs, child)
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        },
        Some(prepare) if alone && !request.enters_time => {
            through_guest(request, prepare, ours.fd(), theirs, child)?
        }
        _ => through_helper(request, ours.fd(), theirs, child)?,
    };
    Ok(Spawned {
        pid,
        pidfd,
        channel: ours,
    })
}

fn clone_error(errno: rustix::io::Errno) -> Error {
    Error::system(Step::Fork, "clone3", errno)
}

/// The child's outermost frame: whatever goes wrong is reported, and the process ends.
fn run(channel: Channel, child: impl FnOnce(&Channel) -> Error) -> ! {
    reset_signals();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child(&channel)));
    let error = outcome
        .unwrap_or_else(|_| Error::system(Step::Protocol, "panic in the child", rustix::io::Errno::IO));
    let _ = channel.send(&Message::Failed(error.into()));
    exit_now(FAILED)
}

/// Exit code of a process that reported a failure.
const FAILED: i32 = 127;

/// The process is a copy of the caller's memory as the guest, which it is forked from, shares it.
fn through_guest(
    request: &Request<'_>,
    prepare: &dyn Fn() -> Result<(), Error>,
    ours: BorrowedFd<'_>,
    theirs: Channel,
    child: impl FnOnce(&Channel) -> Error,
) -> Result<(i32, OwnedFd), Error> {
    use rustix::process::{dumpable_behavior, set_dumpable_behavior};
    let mut process = Some((theirs, child));
    let mut made = Err(clone_error(rustix::io::Errno::CHILD));
    let dumpable = dumpable_behavior().map_err(clone_error)?;
    let guest = in_guest(&mut || {
        let cloned = prepare().and_then(|()| make_sibling(request));
        made = cloned.map(|cloned| match (cloned, process.take()) {
            (Cloned::Parent { pid, pidfd }, kept) => {
                process = kept;
                (pid, pidfd)
            }
            (Cloned::Child, Some((theirs, child))) => {
                close_callers_end(ours);
                run(theirs, child)
            }
            (Cloned::Child, None) => exit_now(FAILED),
        });
    });
    // What `prepare` made of it, and a user namespace: it goes with the memory.
    let _ = set_dumpable_behavior(dumpable);
    let guest = guest.map_err(clone_error)?;
    // ECHILD: the caller ignores SIGCHLD, and the kernel reaped it.
    let _ = waitpid(Pid::from_raw(guest), WaitOptions::empty());
    made
}

/// A child of the caller, made by its helper.
fn make_sibling(request: &Request<'_>) -> Result<Cloned, Error> {
    clone3(request.flags | libc::CLONE_PARENT as u64, request.cgroup).map_err(clone_error)
}

/// In the new process: with the caller's end open here, it would never read end of file.
fn close_callers_end(ours: BorrowedFd<'_>) {
    // SAFETY: this process never uses the caller's end again; the owner of the number lives in the
    // caller's frame, which this process never returns to.
    drop(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(std::os::fd::AsRawFd::as_raw_fd(&ours)) });
}

fn through_helper(
    request: &Request<'_>,
    ours: BorrowedFd<'_>,
    theirs: Channel,
    child: impl FnOnce(&Channel) -> Error,
) -> Result<(i32, OwnedFd), Error> {
    let (answers, helper_end) = Channel::pair()?;
    // SAFETY: fork(2) through glibc, whose handlers make allocation safe in the child of a threaded
    // process; the child never returns from `help`.
    let helper = unsafe { libc::fork() };
    if helper == 0 {
        drop(answers);
        help(request, helper_end, ours, theirs, child);
    }
    drop((helper_end, theirs));
    let Some(helper) = Pid::from_raw(helper) else {
        return Err(clone_error(rustix::io::Errno::AGAIN));
    };
    let answer = answers.receive();
    // ECHILD: the caller ignores SIGCHLD, and the kernel reaped it.
    let _ = waitpid(Some(helper), WaitOptions::empty());
    let pid = match answer? {
        Some((Message::Pid(pid), _)) => pid,
        Some((Message::Failed(failure), _)) => return Err(failure.into()),
        Some((other, _)) => return Err(unexpected("a pid", other.name().to_owned())),
        None => {
            let pid = helper.as_raw_nonzero().get();
            return Err(Error::ChildDied {
                pid,
                during: "entering namespaces",
            });
        }
    };
    let process = Pid::from_raw(pid).ok_or_else(|| unexpected("a pid", "0".to_owned()))?;
    // No race: the process is our child and nobody has reaped it.
    let pidfd = pidfd_open(process, PidfdFlags::empty()).map_err(clone_error)?;
    Ok((pid, pidfd))
}

fn help(
    request: &Request<'_>,
    answers: Channel,
    ours: BorrowedFd<'_>,
    theirs: Channel,
    child: impl FnOnce(&Channel) -> Error,
) -> ! {
    let prepared = request.prepare.map_or(Ok(()), |prepare| prepare());
    match prepared.and_then(|()| make_sibling(request)) {
        Ok(Cloned::Child) => {
            drop(answers);
            close_callers_end(ours);
            run(theirs, child)
        }
        Ok(Cloned::Parent { pid, .. }) => drop(answers.send(&Message::Pid(pid))),
        Err(error) => drop(answers.send(&Message::Failed(error.into()))),
    }
    exit_now(0)
}

impl Spawned {
    /// Kills and reaps a process whose set-up failed: the caller never learns of it.
    pub(crate) fn discard(self) {
        let _ = rustix::process::pidfd_send_signal(self.pidfd.as_fd(), rustix::process::Signal::KILL);
        drop(self.channel);
        let _ = waitpid(Pid::from_raw(self.pid), WaitOptions::empty());
    }
}
