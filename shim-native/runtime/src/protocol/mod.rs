//! The conversation between the caller's side and the container's process while it is being set up.
//!
//! One `SOCK_SEQPACKET` pair, one message per packet, closed on `execve`. In order, for `create`/`start`:
//!
//! ```text
//! caller                                       child (cloned into its namespaces)
//!   ── Proceed ─────────────────────────────▶    only with a new user namespace, or with systemd
//!   ◀──────────────────── Warning* ────────     any number, at any time
//!   ◀──────────────────── Steps ───────────     before Ready, only when the caller records
//!   ◀──────────────────── RunHooks ────────     only with prestart or createRuntime hooks
//!   ── HooksDone ──────────────────────────▶
//!   ◀──────────────────── Console + fd ────     only with a terminal
//!   ◀──────────────────── Ready ───────────     blocked until:
//!   ── Start ──────────────────────────────▶
//!   ◀──────────────────── Listener ────────     only with SCMP_ACT_NOTIFY
//!   ── ListenerSent ───────────────────────▶
//!   ◀──────────────────── (end of file) ───     execve succeeded
//!   ◀──────────────────── Failed ──────────     instead of any of the child's messages
//! ```
//!
//! A process whose caller died reads end of file where it expects a message, and exits.

mod message;

pub(crate) use message::Message;

use crate::error::{Error, Step};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longer than any message: texts are cut when written.
const MAX_PACKET: usize = 8192;

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// Both ends, closed on `execve`.
    pub(crate) fn pair() -> Result<(Channel, Channel), Error> {
        let (a, b) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|errno| Error::system(Step::Protocol, "socketpair", errno))?;
        Ok((Channel(a), Channel(b)))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends by plain `write`: the one call that a container's seccomp policy is sure to allow.
    pub(crate) fn send(&self, message: &Message) -> Result<(), Error> {
        rustix::io::write(&self.0, &message.encode())
            .map(drop)
            .map_err(|errno| Error::system(Step::Protocol, message.name(), errno))
    }

    pub(crate) fn send_with_fd(&self, message: &Message, fd: BorrowedFd<'_>) -> Result<(), Error> {
        let fds = [fd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        sendmsg(
            &self.0,
            &[IoSlice::new(&message.encode())],
            &mut control,
            SendFlags::empty(),
        )
        .map(drop)
        .map_err(|errno| Error::system(Step::Protocol, message.name(), errno))
    }

    /// Next message, or `None` at end of file (the peer closed or executed).
    pub(crate) fn receive(&self) -> Result<Option<(Message, Option<OwnedFd>)>, Error> {
        let mut buffer = [0u8; MAX_PACKET];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            match recvmsg(&self.0, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(None),
                other => break other.map_err(|errno| Error::system(Step::Protocol, "recvmsg", errno))?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut fd = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                fd = fds.last();
            }
        }
        let message = Message::decode(&buffer[..received.bytes])
            .ok_or_else(|| unexpected("a message", format!("{} undecodable bytes", received.bytes)))?;
        Ok(Some((message, fd)))
    }

    /// The child's wait for exactly `expected`. End of file means the caller is gone: the process ends here.
    pub(crate) fn expect(&self, expected: Message) -> Result<(), Error> {
        match self.receive()? {
            None => crate::kernel::exit_now(ORPHANED),
            Some((message, _)) if message == expected => Ok(()),
            Some((other, _)) => Err(unexpected(expected.name(), other.name().to_owned())),
        }
    }
}

/// Exit code of a set-up process whose caller vanished.
const ORPHANED: i32 = 125;

pub(crate) fn unexpected(expected: &'static str, received: String) -> Error {
    Error::UnexpectedMessage { expected, received }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (a, b) = Channel::pair().unwrap();
        a.send_with_fd(&Message::Console, a.fd()).unwrap();
        let (message, fd) = b.receive().unwrap().unwrap();
        assert_eq!((message, fd.is_some()), (Message::Console, true));
        drop(a);
        drop(fd);
        assert!(b.receive().unwrap().is_none());
    }
}
