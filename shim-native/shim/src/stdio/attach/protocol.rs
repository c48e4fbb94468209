//! The attach protocol, version 1, as bytes.
//!
//! The client opens with one JSON line, [`Hello`]; the shim answers with one: `{"ok":true,"tty":…}` or
//! `{"ok":false,"error":…}`. Then both send frames: `type u8 | 0 0 0 | length u32be | payload`.

use crate::reaper::Exit;
use serde::Deserialize;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};

pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const STDERR: u8 = 2;
/// No payload: end of input.
pub const STDIN_END: u8 = 3;
/// Payload: rows u16be, columns u16be.
pub const RESIZE: u8 = 4;
/// Payload: JSON `{"exitCode":n,"exitedAt":"RFC 3339"}`; the shim's last frame.
pub const EXIT: u8 = 5;

const HEADER: usize = 8;
/// Largest payload a client may send.
const MAX_PAYLOAD: usize = 1 << 20;
const MAX_HELLO: u64 = 4096;

/// What a client wants. Absent members are false.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// It may send input.
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// First what the log holds.
    pub replay: bool,
}

/// Reads the client's opening line.
pub async fn read_hello(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Hello> {
    let mut line = Vec::new();
    from.take(MAX_HELLO).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(invalid(
            "the first line must be JSON, end in a newline and have at most 4096 bytes".into(),
        ));
    }
    serde_json::from_slice(&line).map_err(|e| invalid(format!("bad first line: {e}")))
}

/// Reads a client's next frame into `payload` and returns its type; `None` at the end.
pub async fn read_frame(
    from: &mut (impl AsyncRead + Unpin),
    payload: &mut Vec<u8>,
) -> io::Result<Option<u8>> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let [kind, _, _, _, l0, l1, l2, l3] = header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_PAYLOAD {
        return Err(invalid(format!(
            "frame of {length} bytes, the limit is {MAX_PAYLOAD}"
        )));
    }
    payload.resize(length, 0);
    from.read_exact(payload).await?;
    Ok(Some(kind))
}

/// Appends a frame.
pub fn push_frame(into: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    into.extend_from_slice(&[kind, 0, 0, 0]);
    into.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    into.extend_from_slice(payload);
}

/// A single frame.
pub fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    push_frame(&mut bytes, kind, payload);
    bytes
}

pub fn exit_frame(exit: Exit) -> Vec<u8> {
    let at = humantime::format_rfc3339_nanos(exit.at).to_string();
    let payload = serde_json::json!({ "exitCode": exit.status, "exitedAt": at });
    frame(EXIT, payload.to_string().as_bytes())
}

pub fn welcome(tty: bool) -> Vec<u8> {
    format!("{{\"ok\":true,\"tty\":{tty}}}\n").into_bytes()
}

pub fn refusal(error: &io::Error) -> Vec<u8> {
    format!(
        "{}\n",
        serde_json::json!({ "ok": false, "error": error.to_string() })
    )
    .into_bytes()
}

/// Rows and columns of a resize frame.
pub fn size(payload: &[u8]) -> Option<(u16, u16)> {
    let &[r0, r1, c0, c1] = payload else { return None };
    Some((u16::from_be_bytes([r0, r1]), u16::from_be_bytes([c0, c1])))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
