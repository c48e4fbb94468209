//! Other processes: are they there, when do they end, who is at the other end of a socket.

use std::os::fd::BorrowedFd;

use napi::Env;
use napi::bindgen_prelude::{BigInt, Object};
use napi_derive::napi;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Context, Result, SysError};
use crate::thread::promise;

/// What /proc/PID/stat tells about one process.
struct ProcessStat {
    state: char,
    start_time: u64,
}

impl ProcessStat {
    fn read(pid: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let text = std::fs::read(&path).call_on("read", &path)?;
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text).ok_or_else(|| SysError::refused("EBADMSG", "not the form of proc(5)").path(path))
    }

    /// The second field, the name, is in parentheses and may itself contain any character.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let start_time = fields.nth(18)?.parse().ok()?;
        Some(Self { state, start_time })
    }

    fn runs(&self, start_time: Option<u64>) -> bool {
        !matches!(self.state, 'Z' | 'X') && start_time.is_none_or(|expected| expected == self.start_time)
    }
}

#[napi]
pub fn process_alive(env: &Env, pid: i32, start_time: Option<BigInt>) -> napi::Result<bool> {
    alive(pid, start_time.map(|ticks| ticks.get_u64().1)).map_err(|error| error.into_js(env))
}

fn alive(pid: i32, start_time: Option<u64>) -> Result<bool> {
    match ProcessStat::read(pid) {
        Ok(stat) => Ok(stat.runs(start_time)),
        // ESRCH: it ended between open and read.
        Err(error) if matches!(error.errno, libc::ENOENT | libc::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

#[napi]
pub fn process_start_time(env: &Env, pid: i32) -> napi::Result<BigInt> {
    ProcessStat::read(pid)
        .map(|stat| BigInt::from(stat.start_time))
        .map_err(|error| error.into_js(env))
}

/// A negative `timeout_ms` waits without end.
#[napi]
pub fn wait_process_exit(
    env: &Env,
    pid: i32,
    start_time: Option<BigInt>,
    timeout_ms: i64,
) -> napi::Result<Object<'_>> {
    let start_time = start_time.map(|ticks| ticks.get_u64().1);
    promise(env, move || wait_exit(pid, start_time, timeout_ms))
}

fn wait_exit(pid: i32, start_time: Option<u64>, timeout_ms: i64) -> Result<bool> {
    let Some(id) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        return Err(SysError::refused("EINVAL", format!("{pid} is no process id")));
    };
    let pidfd = match pidfd_open(id, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(true),
        pidfd => pidfd.call("pidfd_open")?,
    };
    // Asked after the pidfd is open: from here on the pid cannot pass to somebody else unseen.
    if !alive(pid, start_time)? {
        return Ok(true);
    }
    let timeout = (timeout_ms >= 0).then(|| Timespec {
        tv_sec: timeout_ms / 1000,
        tv_nsec: (timeout_ms % 1000) * 1_000_000,
    });
    loop {
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], timeout.as_ref()) {
            Err(Errno::INTR) => {}
            ready => return ready.map(|count| count > 0).call("poll"),
        }
    }
}

#[napi(object)]
pub struct PeerCredentials {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

#[napi]
pub fn peer_credentials(env: &Env, fd: i32) -> napi::Result<PeerCredentials> {
    if fd < 0 {
        return Err(SysError::errno("getsockopt", libc::EBADF).into_js(env));
    }
    // SAFETY: borrowed for this call only, on the JavaScript thread, which owns the socket; a closed one gives EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let peer = sockopt::socket_peercred(fd)
        .call("getsockopt")
        .map_err(|error| error.into_js(env))?;
    Ok(PeerCredentials {
        pid: peer.pid.as_raw_nonzero().get(),
        uid: peer.uid.as_raw(),
        gid: peer.gid.as_raw(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_fields() {
        let text = "12 (a) R) b) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 424242 20";
        let stat = ProcessStat::parse(text).unwrap();
        assert_eq!((stat.state, stat.start_time), ('Z', 424242));
        assert!(!stat.runs(None));
    }

    #[test]
    fn we_run_since_when_we_started() {
        let pid = std::process::id() as i32;
        let since = ProcessStat::read(pid).unwrap().start_time;
        assert!(alive(pid, Some(since)).unwrap());
        assert!(!alive(pid, Some(since + 1)).unwrap());
    }
}
