//! Multicast messages, handed to JavaScript as they come.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Buffer, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::message;
use super::socket::{NetlinkSocket, Received};
use crate::error::{Context, Result, SysError};

/// Messages of one datagram, and whether some were lost before them.
type Arguments = FnArgs<(Vec<Buffer>, bool)>;
type Callback = ThreadsafeFunction<Arguments, napi::Unknown<'static>, Arguments, napi::Status, false, true>;

/// A running subscription: a thread that reads, until `close`.
#[napi]
pub struct NetlinkSubscription {
    stop: Arc<OwnedFd>,
}

#[napi]
impl NetlinkSubscription {
    /// Idempotent. Messages read before it may still be delivered.
    #[napi]
    pub fn close(&self) {
        // Fails only when the counter is full, and then the thread has been told already.
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
    }
}

impl Drop for NetlinkSubscription {
    fn drop(&mut self) {
        self.close();
    }
}

#[napi]
pub fn netlink_subscribe(
    env: &Env,
    protocol: i32,
    groups: Vec<u32>,
    on_messages: Function<'_, Arguments, napi::Unknown<'static>>,
    netns: Option<String>,
    types: Option<Vec<u32>>,
) -> napi::Result<NetlinkSubscription> {
    let callback: Callback = on_messages
        .build_threadsafe_function()
        .callee_handled::<false>()
        .weak::<true>()
        .build()?;
    start(protocol, groups, callback, netns, types).map_err(|error| error.into_js(env))
}

/// Returns when the socket is open and has joined: nothing that happens afterwards is missed.
fn start(
    protocol: i32,
    groups: Vec<u32>,
    callback: Callback,
    netns: Option<String>,
    types: Option<Vec<u32>>,
) -> Result<NetlinkSubscription> {
    let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).call("eventfd")?);
    let told = Arc::clone(&stop);
    let (ready, opened) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("netlink-events".to_owned())
        .spawn(move || match open(protocol, &groups, netns) {
            Ok(socket) => {
                let _ = ready.send(Ok(()));
                deliver(socket, &told, &callback, types.as_deref());
            }
            Err(error) => drop(ready.send(Err(error))),
        })
        .call("clone")?;
    opened
        .recv()
        .unwrap_or_else(|_| Err(SysError::refused("EPANIC", "the subscription's thread died")))?;
    Ok(NetlinkSubscription { stop })
}

fn open(protocol: i32, groups: &[u32], netns: Option<String>) -> Result<NetlinkSocket> {
    let mut socket = super::open(protocol, netns.as_deref())?;
    groups.iter().try_for_each(|group| socket.join(*group))?;
    Ok(socket)
}

/// A socket that fails for good ends the deliveries; none of its errors but ENOBUFS is known to happen.
fn deliver(mut socket: NetlinkSocket, stop: &OwnedFd, callback: &Callback, types: Option<&[u32]>) {
    let mut lost = false;
    while wait(&socket, stop) {
        match socket.receive(Some(std::time::Duration::ZERO)) {
            Ok(Received::Datagram(datagram)) => {
                let Ok(messages) = message::split(datagram) else {
                    continue;
                };
                let wanted = |message: &&message::Message<'_>| {
                    types.is_none_or(|types| types.contains(&message.kind().into()))
                };
                let buffers: Vec<Buffer> = messages
                    .iter()
                    .filter(wanted)
                    .map(|message| Buffer::from(message.0.to_vec()))
                    .collect();
                if buffers.is_empty() && !lost {
                    continue;
                }
                callback.call((buffers, lost).into(), ThreadsafeFunctionCallMode::NonBlocking);
                lost = false;
            }
            Ok(Received::Lost) => lost = true,
            Ok(Received::Nothing) => {}
            Err(_) => return,
        }
    }
}

/// False once told to stop.
fn wait(socket: &NetlinkSocket, stop: &OwnedFd) -> bool {
    loop {
        let mut fds = [
            PollFd::new(stop, PollFlags::IN),
            PollFd::new(socket.inner(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => return fds[0].revents().is_empty(),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
