//! Reading and writing ttrpc messages.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

const HEADER: usize = 10;

/// Largest payload either side may send.
pub const MAX_PAYLOAD: usize = 4 << 20;

pub const REQUEST: u8 = 1;
pub const RESPONSE: u8 = 2;

/// One message. `payload` is `None` when it was over the limit and has been skipped.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub stream: u32,
    pub kind: u8,
    pub payload: Option<Vec<u8>>,
}

/// Reads the next message; `None` at a clean end of the connection.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    match from.read_exact(&mut header).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let [l0, l1, l2, l3, s0, s1, s2, s3, kind, _flags] = header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    let stream = u32::from_be_bytes([s0, s1, s2, s3]);
    if length > MAX_PAYLOAD {
        tokio::io::copy(&mut from.take(length as u64), &mut tokio::io::sink()).await?;
        return Ok(Some(Frame {
            stream,
            kind,
            payload: None,
        }));
    }
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await?;
    Ok(Some(Frame {
        stream,
        kind,
        payload: Some(payload),
    }))
}

/// A message's bytes, header and payload in one piece.
pub fn encode(stream: u32, kind: u8, message: &impl prost::Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(HEADER + length);
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(&[kind, 0]);
    message.encode_raw(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ttrpc::Request;
    use prost::Message;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_message_survives_the_trip() {
        let request = Request {
            service: "s".into(),
            method: "m".into(),
            ..Default::default()
        };
        let bytes = encode(3, REQUEST, &request);
        let frame = run(read(&mut bytes.as_slice())).unwrap().unwrap();
        assert_eq!((frame.stream, frame.kind), (3, REQUEST));
        assert_eq!(
            Request::decode(frame.payload.unwrap().as_slice()).unwrap(),
            request
        );
    }

    #[test]
    fn an_oversized_message_is_skipped_whole() {
        let mut bytes = ((MAX_PAYLOAD + 1) as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 5, REQUEST, 0]);
        bytes.resize(HEADER + MAX_PAYLOAD + 1, 7);
        bytes.extend_from_slice(&encode(7, REQUEST, &Request::default()));
        let mut rest = bytes.as_slice();
        assert_eq!(run(read(&mut rest)).unwrap().unwrap().payload, None);
        assert_eq!(run(read(&mut rest)).unwrap().unwrap().stream, 7);
        assert!(run(read(&mut rest)).unwrap().is_none());
    }
}
