//! Handing a seccomp notification descriptor to the agent that answers for the container
//! (runtime-spec, config-linux, "Container Process State").

use crate::error::{Error, Step};
use crate::hooks::HookState;
use crate::seccomp::Listener;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, connect, sendmsg, socket_with,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde::Serialize;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'static str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    state: HookState,
}

/// Takes descriptor `fd` out of process `pid` and sends it, with the process's state, to the agent's socket.
pub(crate) fn hand_over(listener: &Listener, pid: i32, fd: i32, state: &HookState) -> Result<(), Error> {
    let failed = |errno: Errno| {
        Error::system(
            Step::Seccomp,
            format!("listener {}", listener.path.display()),
            errno,
        )
    };
    let process = Pid::from_raw(pid).ok_or_else(|| failed(Errno::SRCH))?;
    let pidfd = pidfd_open(process, PidfdFlags::empty()).map_err(failed)?;
    let notify = pidfd_getfd(&pidfd, fd, PidfdGetfdFlags::empty()).map_err(failed)?;
    let message = ProcessState {
        oci_version: &state.oci_version,
        fds: ["seccompFd"],
        pid,
        metadata: listener.metadata.as_deref(),
        state: HookState {
            status: "creating".to_owned(),
            pid: Some(pid),
            ..state.clone()
        },
    };
    let json = serde_json::to_vec(&message).map_err(|_| failed(Errno::INVAL))?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    );
    let socket = socket.map_err(failed)?;
    let address = SocketAddrUnix::new(&listener.path).map_err(failed)?;
    connect(&socket, &address).map_err(failed)?;
    let fds = [notify.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(&socket, &[IoSlice::new(&json)], &mut control, SendFlags::NOSIGNAL)
        .map(drop)
        .map_err(failed)
}
