//! As much of D-Bus as three method calls need (D-Bus Specification, "Message Protocol"): one connection per
//! call, little endian, replies read for success or error only. A client library would bring a message
//! loop and megabytes into every shim.

use crate::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Whom a call is for.
pub(super) struct Target {
    pub destination: &'static str,
    pub path: &'static str,
    pub interface: &'static str,
}

/// The argument types that occur.
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Size(u64),
    Numbers(Vec<u32>),
    /// `a(sv)`
    Properties(Vec<(&'static str, Value)>),
    /// An empty `a(sa(sv))`.
    NoUnits,
}

pub(super) struct Connection {
    stream: UnixStream,
    serial: u32,
}

/// systemd's own socket (root only, no broker between), then the system bus.
const SOCKETS: [&str; 2] = ["/run/systemd/private", "/run/dbus/system_bus_socket"];
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest reply that is accepted; the answers of interest are tiny.
const LONGEST_REPLY: usize = 1 << 20;

impl Connection {
    pub(super) fn to_systemd() -> Result<Self, Error> {
        let mut reason = None;
        for (index, socket) in SOCKETS.iter().enumerate() {
            let brokered = index > 0;
            match Self::open(socket, brokered) {
                Ok(connection) => return Ok(connection),
                Err(error) => reason = Some(format!("{socket}: {error}")),
            }
        }
        Err(Error::Systemd(format!(
            "cannot be reached: {}",
            reason.unwrap_or_default()
        )))
    }

    /// Connects and authenticates as our uid; a broker also wants a `Hello`.
    fn open(socket: &str, brokered: bool) -> Result<Self, Error> {
        let mut stream = UnixStream::connect(socket).map_err(failed)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
        stream.set_write_timeout(Some(TIMEOUT)).map_err(failed)?;
        authenticate(&mut stream)?;
        let mut connection = Self { stream, serial: 0 };
        if brokered {
            let bus = Target {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
            };
            connection.call(&bus, "Hello", &[])?;
        }
        Ok(connection)
    }

    /// Calls without asking for a reply.
    pub(super) fn post(&mut self, target: &Target, member: &str, arguments: &[Value]) -> Result<(), Error> {
        self.serial += 1;
        let mut message = encode_call(target, member, arguments, self.serial);
        message[FLAGS_AT] |= NO_REPLY_EXPECTED;
        self.stream.write_all(&message).map_err(failed)
    }

    /// Calls and waits for the reply; an error reply becomes an error with its name and text.
    pub(super) fn call(&mut self, target: &Target, member: &str, arguments: &[Value]) -> Result<(), Error> {
        self.serial += 1;
        let message = encode_call(target, member, arguments, self.serial);
        self.stream.write_all(&message).map_err(failed)?;
        loop {
            let reply = Reply::read(&mut self.stream)?;
            if reply.answers != Some(self.serial) {
                // A signal, or the broker's greeting.
                continue;
            }
            return match reply.error {
                None => Ok(()),
                Some(name) => Err(Error::Systemd(format!("{member}: {name}: {}", reply.text))),
            };
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::Systemd(match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("no answer within {} s", TIMEOUT.as_secs()),
        _ => error.to_string(),
    })
}

/// SASL EXTERNAL: the kernel vouches for the uid, given as the hex of its decimal digits.
fn authenticate(stream: &mut UnixStream) -> Result<(), Error> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let hex: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
    stream
        .write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())
        .map_err(failed)?;
    let mut line = Vec::new();
    let mut byte = [0u8];
    while !line.ends_with(b"\r\n") && line.len() < 512 {
        stream.read_exact(&mut byte).map_err(failed)?;
        line.push(byte[0]);
    }
    if !line.starts_with(b"OK ") {
        let said = String::from_utf8_lossy(&line).trim().to_owned();
        return Err(Error::Systemd(format!("authentication refused: {said}")));
    }
    stream.write_all(b"BEGIN\r\n").map_err(failed)
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// Third byte of a message.
const FLAGS_AT: usize = 2;
const NO_REPLY_EXPECTED: u8 = 1;

/// Header field codes.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

fn encode_call(target: &Target, member: &str, arguments: &[Value], serial: u32) -> Vec<u8> {
    let mut body = Encoder::default();
    let mut signature = String::new();
    for argument in arguments {
        signature.push_str(argument.signature());
        body.value(argument);
    }
    let mut message = Encoder::default();
    message.0.extend([b'l', METHOD_CALL, 0, 1]);
    message.number(body.0.len() as u32);
    message.number(serial);
    let texts = [
        (PATH, "o", target.path),
        (INTERFACE, "s", target.interface),
        (MEMBER, "s", member),
        (DESTINATION, "s", target.destination),
    ];
    message.array(8, |fields| {
        for (code, kind, text) in texts {
            fields.align(8);
            fields.0.push(code);
            fields.signature(kind);
            fields.text(text);
        }
        if !signature.is_empty() {
            fields.align(8);
            fields.0.push(SIGNATURE);
            fields.signature("g");
            fields.signature(&signature);
        }
    });
    message.align(8);
    message.0.extend(body.0);
    message.0
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Value::Text(_) => "s",
            Value::Flag(_) => "b",
            Value::Size(_) => "t",
            Value::Numbers(_) => "au",
            Value::Properties(_) => "a(sv)",
            Value::NoUnits => "a(sa(sv))",
        }
    }
}

/// Marshals into a buffer whose start is aligned to 8.
#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// Length (without the padding before the first element), then the elements.
    fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.number(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        let length = (self.0.len() - start) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.text(text),
            Value::Flag(flag) => self.number(u32::from(*flag)),
            Value::Size(size) => {
                self.align(8);
                self.0.extend(size.to_le_bytes());
            }
            Value::Numbers(numbers) => self.array(4, |list| numbers.iter().for_each(|n| list.number(*n))),
            Value::NoUnits => self.array(8, |_| {}),
            Value::Properties(properties) => self.array(8, |list| {
                for (name, value) in properties {
                    list.align(8);
                    list.text(name);
                    list.signature(value.signature());
                    list.value(value);
                }
            }),
        }
    }
}

/// What matters of an incoming message.
#[derive(Debug, PartialEq)]
struct Reply {
    /// Serial of the call it answers; `None` for signals.
    answers: Option<u32>,
    error: Option<String>,
    /// First string of the body: an error's text.
    text: String,
}

impl Reply {
    fn read(stream: &mut impl Read) -> Result<Self, Error> {
        let mut fixed = [0u8; 16];
        stream.read_exact(&mut fixed).map_err(failed)?;
        let odd = || Error::Systemd("sent a message that is not D-Bus".to_owned());
        if fixed[0] != b'l' || fixed[3] != 1 {
            return Err(odd());
        }
        let word =
            |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]) as usize;
        let (body_length, fields_length) = (word(4), word(12));
        if body_length > LONGEST_REPLY || fields_length > LONGEST_REPLY {
            return Err(odd());
        }
        // The header, 16 bytes and the fields, is padded to 8; so is 16 plus the fields' own padding.
        let mut rest = vec![0u8; fields_length.next_multiple_of(8) + body_length];
        stream.read_exact(&mut rest).map_err(failed)?;
        let (fields, body) = rest.split_at(fields_length.next_multiple_of(8));
        Self::decode(fixed[1], &fields[..fields_length], body).ok_or_else(odd)
    }

    fn decode(kind: u8, fields: &[u8], body: &[u8]) -> Option<Self> {
        let mut reply = Reply {
            answers: None,
            error: None,
            text: String::new(),
        };
        let mut fields = Decoder { bytes: fields, at: 0 };
        while fields.at < fields.bytes.len() {
            fields.align(8);
            let code = fields.byte()?;
            match fields.signature()?.as_str() {
                "u" => {
                    let number = fields.number()?;
                    if code == REPLY_SERIAL && matches!(kind, METHOD_RETURN | ERROR) {
                        reply.answers = Some(number);
                    }
                }
                "s" | "o" => {
                    let text = fields.text()?;
                    if code == ERROR_NAME && kind == ERROR {
                        reply.error = Some(text);
                    }
                }
                "g" => drop(fields.signature()?),
                _ => return None,
            }
        }
        if kind == ERROR {
            reply.text = Decoder { bytes: body, at: 0 }.text().unwrap_or_default();
        }
        Some(reply)
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Decoder<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self, length: usize) -> Option<String> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Some(text)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        self.string(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.byte()? as usize;
        self.string(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// A real broker on a private socket.
    struct Bus {
        daemon: Child,
        _dir: tempfile::TempDir,
        socket: String,
    }

    impl Bus {
        fn start() -> Option<Self> {
            let dir = tempfile::tempdir().unwrap();
            let socket = dir.path().join("bus").display().to_string();
            let daemon = Command::new("dbus-daemon")
                .args([
                    "--session",
                    "--nofork",
                    "--nopidfile",
                    &format!("--address=unix:path={socket}"),
                ])
                .stderr(Stdio::null())
                .spawn();
            let Ok(daemon) = daemon else {
                eprintln!("skipped: no dbus-daemon to talk to");
                return None;
            };
            for _ in 0..200 {
                if std::path::Path::new(&socket).exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Some(Self {
                daemon,
                _dir: dir,
                socket,
            })
        }
    }

    impl Drop for Bus {
        fn drop(&mut self) {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }

    const BUS: Target = Target {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
    };

    #[test]
    fn a_real_broker_understands_our_calls() {
        let Some(bus) = Bus::start() else { return };
        let mut connection = Connection::open(&bus.socket, true).unwrap();
        connection.call(&BUS, "ListNames", &[]).unwrap();
        connection
            .call(
                &BUS,
                "NameHasOwner",
                &[Value::Text("org.freedesktop.DBus".into())],
            )
            .unwrap();
        let error = connection
            .call(&BUS, "GetNameOwner", &[Value::Text("no.such.name".into())])
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("systemd: GetNameOwner: org.freedesktop.DBus.Error.NameHasNoOwner: "),
            "{text}"
        );
        // The whole argument list of StartTransientUnit must at least be well formed to be refused by name.
        let properties = vec![
            ("PIDs", Value::Numbers(vec![1, 2])),
            ("MemoryMax", Value::Size(5)),
            ("Delegate", Value::Flag(true)),
        ];
        let arguments = [
            Value::Text("x.scope".into()),
            Value::Text("fail".into()),
            Value::Properties(properties),
            Value::NoUnits,
        ];
        let error = connection
            .call(&BUS, "StartTransientUnit", &arguments)
            .unwrap_err()
            .to_string();
        assert!(error.contains("UnknownMethod"), "{error}");
        connection.call(&BUS, "ListNames", &[]).unwrap();
    }

    #[test]
    fn a_missing_socket_is_named() {
        let error = Connection::open("/nonexistent/bus", false)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
