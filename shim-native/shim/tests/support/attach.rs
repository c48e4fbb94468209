//! A client of the attach protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub struct Attach {
    reader: BufReader<UnixStream>,
    pub tty: bool,
}

/// Everything a client was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit_code: Option<i64>,
}

impl Attach {
    pub fn connect(path: &Path, hello: &str) -> Attach {
        let (mut attach, answer) = Attach::raw(path, hello);
        assert_eq!(answer["ok"], true, "{answer}");
        attach.tty = answer["tty"].as_bool().unwrap();
        attach
    }

    pub fn raw(path: &Path, hello: &str) -> (Attach, serde_json::Value) {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(format!("{hello}\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        (
            Attach { reader, tty: false },
            serde_json::from_str(&line).unwrap(),
        )
    }

    /// All three streams, with what was before.
    pub fn everything(path: &Path) -> Attach {
        Attach::connect(
            path,
            r#"{"stdin":true,"stdout":true,"stderr":true,"replay":true}"#,
        )
    }

    pub fn send(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![kind, 0, 0, 0];
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        self.reader.get_mut().write_all(&frame).unwrap();
    }

    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.send(4, &[rows.to_be_bytes(), columns.to_be_bytes()].concat());
    }

    pub fn stop_sending(&mut self) {
        self.reader.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut header = [0; 8];
        self.reader.read_exact(&mut header).ok()?;
        let length = u32::from_be_bytes(header[4..].try_into().unwrap());
        let mut payload = vec![0; length as usize];
        self.reader.read_exact(&mut payload).unwrap();
        Some((header[0], payload))
    }

    /// Reads until output ends with `text`.
    pub fn read_until(&mut self, text: &str) -> String {
        let mut got = Vec::new();
        while !got.ends_with(text.as_bytes()) {
            let Some((_, payload)) = self.frame() else {
                panic!("closed before {text:?}, after {} bytes", got.len());
            };
            got.extend_from_slice(&payload);
        }
        String::from_utf8(got).unwrap()
    }

    /// Reads to the end.
    pub fn finish(mut self) -> Received {
        let mut received = Received::default();
        while let Some((kind, payload)) = self.frame() {
            match kind {
                1 => received.stdout.extend(payload),
                2 => received.stderr.extend(payload),
                5 => {
                    let exit: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                    assert!(exit["exitedAt"].as_str().unwrap().ends_with('Z'));
                    received.exit_code = exit["exitCode"].as_i64();
                }
                other => panic!("frame of type {other}"),
            }
        }
        received
    }
}
