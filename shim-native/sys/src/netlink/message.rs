//! The framing of netlink(7): messages in a datagram, and what the kernel answers about them.

use crate::error::{Result, SysError};

pub const NLMSG_NOOP: u16 = 1;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;

pub const NLM_F_ACK: u16 = 0x4;
/// NLM_F_ROOT | NLM_F_MATCH
pub const NLM_F_DUMP: u16 = 0x300;
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// In an answer: the request's payload was left out of the error message.
const NLM_F_CAPPED: u16 = 0x100;
/// In an answer: attributes follow the error message.
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

const HEADER: usize = 16;

/// One message, header included.
#[derive(Clone, Copy)]
pub struct Message<'a>(pub &'a [u8]);

impl Message<'_> {
    pub fn kind(&self) -> u16 {
        u16_at(self.0, 4)
    }
    pub fn flags(&self) -> u16 {
        u16_at(self.0, 6)
    }
    pub fn seq(&self) -> u32 {
        u32_at(self.0, 8)
    }
    /// Wants its dump or its acknowledgement; nothing else is waited for.
    pub fn wants_answer(&self) -> bool {
        self.flags() & NLM_F_ACK != 0 || self.is_dump()
    }
    /// The two bits mean REPLACE and EXCL in a NEW request, where both together make no sense.
    pub fn is_dump(&self) -> bool {
        self.flags() & NLM_F_DUMP == NLM_F_DUMP
    }
    /// The errno (0 or negative) that opens the payload of NLMSG_ERROR, and of NLMSG_DONE.
    pub fn status(&self) -> i32 {
        self.0
            .get(HEADER..HEADER + 4)
            .map_or(0, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
    }
    /// The kernel's text about an NLMSG_ERROR, or about the dump that an NLMSG_DONE ends.
    pub fn ext_ack(&self) -> Option<String> {
        if self.flags() & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let behind_status = self.0.get(HEADER + 4..)?;
        attribute(behind_status.get(self.repeated_request()?..)?, NLMSGERR_ATTR_MSG)
            .map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
    }

    /// Bytes of the request that stand between the status and the attributes: none, its header, or all of it.
    fn repeated_request(&self) -> Option<usize> {
        if self.kind() == NLMSG_DONE {
            return Some(0);
        }
        let request = self.0.get(HEADER + 4..)?;
        let length = if self.flags() & NLM_F_CAPPED != 0 {
            HEADER
        } else {
            u32_at(request.get(..4)?, 0) as usize
        };
        Some(align(length))
    }
}

/// Cuts a datagram into its messages.
pub fn split(datagram: &[u8]) -> Result<Vec<Message<'_>>> {
    let mut messages = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let length = rest.get(..HEADER).map_or(0, |header| u32_at(header, 0) as usize);
        let message = rest
            .get(..length)
            .filter(|_| length >= HEADER)
            .ok_or_else(|| malformed(datagram, rest))?;
        messages.push(Message(message));
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    Ok(messages)
}

fn malformed(datagram: &[u8], rest: &[u8]) -> SysError {
    SysError::refused(
        "EBADMSG",
        format!(
            "no netlink message at byte {} of {}: check nlmsg_len",
            datagram.len() - rest.len(),
            datagram.len()
        ),
    )
}

fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    while rest.len() >= 4 {
        let length = u16_at(rest, 0) as usize;
        let value = rest.get(4..length)?;
        if u16_at(rest, 2) & 0x3fff == wanted {
            return Some(value);
        }
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    None
}

fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER + payload.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(seq.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    #[test]
    fn messages_are_cut_at_their_aligned_lengths() {
        let datagram = [message(16, NLM_F_ACK, 1, b"abc"), message(18, NLM_F_DUMP, 2, b"")].concat();
        let messages = split(&datagram).unwrap();
        assert_eq!(
            messages
                .iter()
                .map(|m| (m.kind(), m.seq(), m.is_dump()))
                .collect::<Vec<_>>(),
            [(16, 1, false), (18, 2, true)]
        );
        assert_eq!(messages[0].0.len(), 19);
    }

    #[test]
    fn a_length_outside_the_datagram_is_refused() {
        let mut datagram = message(16, 0, 1, b"");
        datagram[0] = 40;
        assert_eq!(split(&datagram).err().unwrap().code, "EBADMSG");
        datagram[0] = 3;
        assert!(split(&datagram).is_err());
        assert!(split(&[1, 2, 3]).is_err());
    }

    #[test]
    fn extended_text_is_found_behind_a_capped_and_a_whole_request() {
        let text = [&[11u8, 0, 1, 0][..], b"no way\0", &[0]].concat();
        let request = message(16, NLM_F_ACK, 7, b"12345678");
        let status = (-22i32).to_ne_bytes();
        let whole = message(
            NLMSG_ERROR,
            NLM_F_ACK_TLVS,
            7,
            &[&status[..], &request, &text].concat(),
        );
        let capped = message(
            NLMSG_ERROR,
            NLM_F_ACK_TLVS | NLM_F_CAPPED,
            7,
            &[&status[..], &request[..16], &text].concat(),
        );
        let done = message(NLMSG_DONE, NLM_F_ACK_TLVS, 7, &[&status[..], &text].concat());
        for bytes in [whole, capped, done] {
            assert_eq!(Message(&bytes).status(), -22);
            assert_eq!(Message(&bytes).ext_ack().as_deref(), Some("no way"));
        }
    }
}
