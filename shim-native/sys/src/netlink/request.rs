//! Requests and their answers, matched by sequence number.

use std::collections::HashMap;
use std::time::Duration;

use super::message::{self, Message, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP};
use super::socket::{NetlinkSocket, Received};
use crate::error::{Result, SysError};

const DUMP_ATTEMPTS: u32 = 5;

/// Sends the messages as one datagram and collects the answers until each request that wants one has it.
/// Dumps that were interrupted by a change are asked for anew, if the datagram holds nothing but dumps.
pub fn transact(socket: &mut NetlinkSocket, requests: &[u8], timeout: Duration) -> Result<Vec<Vec<u8>>> {
    let sent = message::split(requests)?;
    let only_dumps = sent.iter().all(Message::is_dump);
    for attempt in 1.. {
        socket.send(requests)?;
        let answers = Exchange::new(&sent).run(socket, timeout)?;
        if !answers.interrupted {
            return Ok(answers.messages);
        }
        if !only_dumps || attempt == DUMP_ATTEMPTS {
            break;
        }
    }
    Err(SysError::refused(
        "EINTR",
        "the netlink dump kept changing while it was read; try again",
    ))
}

/// What is still owed, and what has come.
struct Exchange {
    /// Answers awaited, by sequence number.
    awaited: HashMap<u32, usize>,
    own: Vec<u32>,
    messages: Vec<Vec<u8>>,
    failure: Option<SysError>,
    interrupted: bool,
}

impl Exchange {
    fn new(sent: &[Message<'_>]) -> Self {
        let mut awaited = HashMap::new();
        for request in sent.iter().filter(|request| request.wants_answer()) {
            *awaited.entry(request.seq()).or_default() += 1;
        }
        let own = sent.iter().map(Message::seq).collect();
        Self {
            awaited,
            own,
            messages: Vec::new(),
            failure: None,
            interrupted: false,
        }
    }

    fn run(mut self, socket: &mut NetlinkSocket, timeout: Duration) -> Result<Self> {
        loop {
            // Requests are carried out inside send: a refusal that nobody asked to have acknowledged is there already,
            // and after a failure, what is not there yet will not come.
            let settled = self.awaited.is_empty() || self.failure.is_some();
            let wait = if settled { Duration::ZERO } else { timeout };
            match socket.receive(Some(wait))? {
                Received::Datagram(datagram) => {
                    for answer in message::split(datagram)? {
                        self.take(answer);
                    }
                }
                Received::Lost => return Err(lost()),
                Received::Nothing => break,
            }
        }
        self.conclude(timeout)
    }

    fn conclude(self, timeout: Duration) -> Result<Self> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.awaited.is_empty() => Ok(self),
            None => Err(SysError::refused(
                "ETIMEDOUT",
                format!(
                    "{} netlink requests unanswered after {} ms",
                    self.awaited.len(),
                    timeout.as_millis()
                ),
            )),
        }
    }

    fn take(&mut self, answer: Message<'_>) {
        if !self.own.contains(&answer.seq()) {
            return;
        }
        self.interrupted |= answer.flags() & NLM_F_DUMP_INTR != 0;
        match answer.kind() {
            NLMSG_NOOP => {}
            NLMSG_ERROR | NLMSG_DONE => {
                if answer.status() < 0 {
                    self.failure.get_or_insert_with(|| failure(answer));
                }
                self.settle(answer.seq());
            }
            _ => self.messages.push(answer.0.to_vec()),
        }
    }

    fn settle(&mut self, seq: u32) {
        if let Some(count) = self.awaited.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                self.awaited.remove(&seq);
            }
        }
    }
}

fn failure(answer: Message<'_>) -> SysError {
    let mut error = SysError::errno("netlink", -answer.status());
    error.ext_ack = answer.ext_ack();
    error.seq = Some(answer.seq());
    error
}

fn lost() -> SysError {
    let mut error = SysError::errno("recvfrom", libc::ENOBUFS);
    error.what += "; netlink answers were lost, read the state anew";
    error
}
