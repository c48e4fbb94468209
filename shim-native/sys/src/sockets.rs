//! Sockets of any network namespace, for Node to serve on: socket(7).

use std::net::SocketAddr;
use std::os::fd::{IntoRawFd, OwnedFd};

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

use crate::error::{Context, Result, SysError};
use crate::netns;
use crate::thread::promise;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// A burst of some thousand small datagrams, while JavaScript does something else.
const RECEIVE_BUFFER: usize = 4 << 20;

#[napi]
pub fn open_server_socket(
    env: &Env,
    netns: String,
    protocol: String,
    address: String,
    port: u16,
) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let at = address
            .parse()
            .map(|ip| SocketAddr::new(ip, port))
            .map_err(|_| SysError::refused("EINVAL", format!("\"{address}\" is not an IP address")))?;
        netns::enter(&netns)?;
        Ok(open(&protocol, &at)?.into_raw_fd())
    })
}

/// In the network namespace of the calling thread.
fn open(protocol: &str, at: &SocketAddr) -> Result<OwnedFd> {
    let kind = match protocol {
        "tcp" => SocketType::STREAM,
        "udp" => SocketType::DGRAM,
        _ => {
            return Err(SysError::refused(
                "EINVAL",
                format!("protocol \"{protocol}\" is not tcp or udp"),
            ));
        }
    };
    let family = if at.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, kind, flags, None).call("socket")?;
    if kind == SocketType::STREAM {
        // Connections of an earlier process may still be in TIME_WAIT.
        sockopt::set_socket_reuseaddr(&socket, true).call("setsockopt")?;
    } else if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
    }
    net::bind(&socket, at).call("bind")?;
    if kind == SocketType::STREAM {
        net::listen(&socket, BACKLOG).call("listen")?;
    }
    Ok(socket)
}
