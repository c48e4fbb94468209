//! A netlink socket set up so that answers are complete, and explained.

use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::error::{Context, Result, SysError};

/// Larger than any datagram the kernel makes (dumps are cut at 32 KiB).
const LARGEST: usize = 256 * 1024;
/// Room for the acknowledgements of a batch with thousands of messages.
const RECEIVE_BUFFER: usize = 8 << 20;

pub struct NetlinkSocket {
    socket: Socket,
    buffer: Vec<u8>,
}

/// What [`NetlinkSocket::receive`] found.
pub enum Received<'a> {
    Datagram(&'a [u8]),
    /// Nothing came in time.
    Nothing,
    /// The kernel ran out of room and dropped messages.
    Lost,
}

impl NetlinkSocket {
    /// In the network namespace of the calling thread.
    pub fn open(protocol: i32) -> Result<Self> {
        let mut socket = Socket::new(protocol as isize).call("socket")?;
        socket.bind_auto().call("bind")?;
        // Both are refinements; what they need (a kernel newer than 4.12) is not worth a failure.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        // Without CAP_NET_ADMIN the system's maximum has to do.
        if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        }
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(LARGEST),
        })
    }

    /// NETLINK_GET_STRICT_CHK
    pub fn set_strict(&self) -> Result<()> {
        self.socket.set_netlink_get_strict_chk(true).call("setsockopt")
    }

    pub fn join(&mut self, group: u32) -> Result<()> {
        self.socket
            .add_membership(group)
            .call("setsockopt")
            .map_err(|mut error| {
                error.what += &format!(" (multicast group {group})");
                error
            })
    }

    /// One datagram to the kernel.
    pub fn send(&self, datagram: &[u8]) -> Result<()> {
        // The kernel wants the whole datagram in the send buffer; large nftables batches exceed the default.
        if datagram.len() > 64 * 1024 {
            let _ = sockopt::set_socket_send_buffer_size(&self.socket, datagram.len() * 2);
        }
        loop {
            match self.socket.send_to(datagram, &SocketAddr::new(0, 0), 0) {
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                outcome => return outcome.map(drop).call("sendto"),
            }
        }
    }

    /// The next datagram; `None` waits without end.
    pub fn receive(&mut self, timeout: Option<Duration>) -> Result<Received<'_>> {
        if !self.readable(timeout)? {
            return Ok(Received::Nothing);
        }
        loop {
            self.buffer.clear();
            match self
                .socket
                .recv(&mut self.buffer, libc::MSG_TRUNC | libc::MSG_DONTWAIT)
            {
                Ok(length) if length > self.buffer.len() => {
                    return Err(SysError::refused(
                        "EMSGSIZE",
                        format!("netlink answer of {length} bytes"),
                    ));
                }
                Ok(_) => return Ok(Received::Datagram(&self.buffer)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => return Ok(Received::Nothing),
                    Some(libc::ENOBUFS) => return Ok(Received::Lost),
                    _ => return Err(error).call("recvfrom"),
                },
            }
        }
    }

    fn readable(&self, timeout: Option<Duration>) -> Result<bool> {
        let timeout = timeout.map(|t| Timespec {
            tv_sec: t.as_secs() as i64,
            tv_nsec: t.subsec_nanos().into(),
        });
        loop {
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], timeout.as_ref()) {
                Err(Errno::INTR) => {}
                outcome => return outcome.map(|ready| ready > 0).call("poll"),
            }
        }
    }

    pub fn inner(&self) -> &Socket {
        &self.socket
    }
}
