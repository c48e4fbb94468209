//! netlink(7) sockets in any network namespace: requests, and subscriptions to multicast groups.

mod message;
mod request;
mod socket;
mod subscribe;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object, Uint8Array};
use napi_derive::napi;

use crate::error::Result;
use crate::netns;
use crate::thread::promise_with;
use request::transact;
use socket::NetlinkSocket;

const DEFAULT_TIMEOUT_MS: u32 = 10_000;

#[napi(object)]
pub struct NetlinkOptions {
    pub netns: Option<String>,
    pub strict: Option<bool>,
    pub timeout_ms: Option<u32>,
}

#[napi]
pub fn netlink_request(
    env: &Env,
    protocol: i32,
    messages: Uint8Array,
    options: NetlinkOptions,
) -> napi::Result<Object<'_>> {
    let messages = messages.to_vec();
    let work = move || {
        let timeout = Duration::from_millis(options.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS).into());
        let keeps = is_kept(protocol, &options);
        let used = if keeps { kept().pop() } else { None };
        let mut socket = used.map_or_else(|| open(protocol, options.netns.as_deref()), Ok)?;
        if options.strict.unwrap_or(false) {
            socket.set_strict()?;
        }
        let answers = transact(&mut socket, &messages, timeout)?;
        // After a failure answers may still come: such a socket is not used again.
        if keeps {
            keep(socket);
        }
        Ok(answers)
    };
    promise_with(env, work, |_, answers| {
        Ok(answers.into_iter().map(Buffer::from).collect::<Vec<_>>())
    })
}

/// Sockets that did well, for the next request of their kind. Only nfnetlink ones of our own namespace: closing one of
/// them waits until the kernel has freed the elements deleted last (`nft_rcv_nl_event`), an RCU grace period of some
/// 8 ms, and holds off everybody else's changes meanwhile.
static KEPT: Mutex<Vec<NetlinkSocket>> = Mutex::new(Vec::new());
const MOST_KEPT: usize = 4;

fn is_kept(protocol: i32, options: &NetlinkOptions) -> bool {
    protocol == libc::NETLINK_NETFILTER && options.netns.is_none() && !options.strict.unwrap_or(false)
}

fn kept() -> MutexGuard<'static, Vec<NetlinkSocket>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(socket: NetlinkSocket) {
    let mut kept = kept();
    if kept.len() < MOST_KEPT {
        kept.push(socket);
    }
}

/// Leaves the calling thread in the namespace: it must be a thread of its own.
fn open(protocol: i32, namespace: Option<&str>) -> Result<NetlinkSocket> {
    if let Some(path) = namespace {
        netns::enter(path)?;
    }
    NetlinkSocket::open(protocol)
}

/// Sets IFF_UP on `lo`, which is link 1 of every namespace.
pub fn bring_up_loopback() -> Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 0x5;
    const IFF_UP: u32 = 1;
    let mut request = Vec::with_capacity(32);
    request.extend(32u32.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    request.extend(1u32.to_ne_bytes()); // nlmsg_seq
    request.extend(0u32.to_ne_bytes()); // nlmsg_pid
    request.extend([0; 4]); // struct ifinfomsg: family and type,
    request.extend(1i32.to_ne_bytes()); // index,
    request.extend(IFF_UP.to_ne_bytes()); // flags,
    request.extend(IFF_UP.to_ne_bytes()); // which of them to change
    let mut socket = NetlinkSocket::open(libc::NETLINK_ROUTE)?;
    transact(
        &mut socket,
        &request,
        Duration::from_millis(DEFAULT_TIMEOUT_MS.into()),
    )
    .map(drop)
}
