//! Datagrams to unix sockets, which Node cannot send: unix(7).

use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array};
use napi_derive::napi;
use rustix::net::{self, AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::time::Duration;

use crate::error::{Context, Result};
use crate::thread::promise;

/// How long a receiver with a full queue is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

#[napi]
pub fn send_datagrams(env: &Env, path: String, datagrams: Vec<Uint8Array>) -> napi::Result<Object<'_>> {
    let datagrams: Vec<Vec<u8>> = datagrams.iter().map(|bytes| bytes.to_vec()).collect();
    promise(env, move || send(&path, &datagrams))
}

fn send(path: &str, datagrams: &[Vec<u8>]) -> Result<()> {
    let address = SocketAddrUnix::new(path).call_on("sendto", path)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).call("socket")?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE)).call("setsockopt")?;
    for datagram in datagrams {
        net::sendto(&socket, datagram, SendFlags::NOSIGNAL, &address).call_on("sendto", path)?;
    }
    Ok(())
}
