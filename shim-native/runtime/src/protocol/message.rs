//! The messages and their bytes.

use crate::error::{Error, Step, Warning};
use crate::trace;
use rustix::io::Errno;
use std::path::PathBuf;

/// One packet.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    /// Id maps are written and, with systemd, the group is made.
    Proceed,
    Warning(Warning),
    /// What the child has done by now, for who traces the call.
    Steps(Vec<trace::Step>),
    RunHooks,
    HooksDone,
    Console,
    Ready,
    Start,
    Listener(i32),
    ListenerSent,
    /// From a helper: the process it made.
    Pid(i32),
    Failed(Failure),
}

/// The part of [`Error`] that travels.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    System {
        step: Step,
        subject: String,
        errno: i32,
    },
    Exec {
        path: String,
        errno: i32,
    },
    Hook {
        kind: String,
        index: u32,
        path: String,
        reason: String,
    },
    Spec {
        field: String,
        reason: String,
    },
    Unsupported {
        what: String,
        why: String,
    },
}

impl Message {
    /// Name for [`Error::UnexpectedMessage`].
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Message::Proceed => "Proceed",
            Message::Warning(_) => "Warning",
            Message::Steps(_) => "Steps",
            Message::RunHooks => "RunHooks",
            Message::HooksDone => "HooksDone",
            Message::Console => "Console",
            Message::Ready => "Ready",
            Message::Start => "Start",
            Message::Listener(_) => "Listener",
            Message::ListenerSent => "ListenerSent",
            Message::Pid(_) => "Pid",
            Message::Failed(_) => "Failed",
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::with_capacity(128));
        match self {
            Message::Proceed => out.byte(0),
            Message::Warning(warning) => {
                out.byte(1);
                out.byte(warning.step as u8);
                out.text(&warning.message);
            }
            Message::RunHooks => out.byte(2),
            Message::HooksDone => out.byte(3),
            Message::Console => out.byte(4),
            Message::Ready => out.byte(5),
            Message::Start => out.byte(6),
            Message::Listener(fd) => {
                out.byte(7);
                out.number(*fd);
            }
            Message::ListenerSent => out.byte(8),
            Message::Pid(pid) => {
                out.byte(10);
                out.number(*pid);
            }
            Message::Steps(steps) => {
                out.byte(11);
                encode_steps(steps, &mut out);
            }
            Message::Failed(failure) => {
                out.byte(9);
                failure.encode(&mut out);
            }
        }
        out.0
    }

    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        let mut input = Reader(packet);
        Some(match input.byte()? {
            0 => Message::Proceed,
            1 => {
                let step = Step::from_u8(input.byte()?)?;
                Message::Warning(Warning {
                    step,
                    message: input.text()?,
                })
            }
            2 => Message::RunHooks,
            3 => Message::HooksDone,
            4 => Message::Console,
            5 => Message::Ready,
            6 => Message::Start,
            7 => Message::Listener(input.number()?),
            8 => Message::ListenerSent,
            9 => Message::Failed(Failure::decode(&mut input)?),
            10 => Message::Pid(input.number()?),
            11 => Message::Steps(decode_steps(&mut input)?),
            _ => return None,
        })
    }
}

/// As many as fit a packet: the texts are names out of this crate's source.
const MAX_STEPS: usize = 64;

fn encode_steps(steps: &[trace::Step], out: &mut Writer) {
    let steps = &steps[..steps.len().min(MAX_STEPS)];
    out.byte(steps.len() as u8);
    for step in steps {
        out.text(&step.name);
        out.number(step.pid);
        out.time(step.start_ns);
        out.time(step.end_ns);
    }
}

fn decode_steps(input: &mut Reader<'_>) -> Option<Vec<trace::Step>> {
    (0..input.byte()?)
        .map(|_| {
            Some(trace::Step {
                name: input.text()?.into(),
                pid: input.number()?,
                start_ns: input.time()?,
                end_ns: input.time()?,
            })
        })
        .collect()
}

impl Failure {
    fn encode(&self, out: &mut Writer) {
        match self {
            Failure::System { step, subject, errno } => {
                out.byte(0);
                out.byte(*step as u8);
                out.number(*errno);
                out.text(subject);
            }
            Failure::Exec { path, errno } => {
                out.byte(1);
                out.number(*errno);
                out.text(path);
            }
            Failure::Hook {
                kind,
                index,
                path,
                reason,
            } => {
                out.byte(2);
                out.number(*index as i32);
                out.text(kind);
                out.text(path);
                out.text(reason);
            }
            Failure::Spec { field, reason } => {
                out.byte(3);
                out.text(field);
                out.text(reason);
            }
            Failure::Unsupported { what, why } => {
                out.byte(4);
                out.text(what);
                out.text(why);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Option<Self> {
        Some(match input.byte()? {
            0 => {
                let step = Step::from_u8(input.byte()?)?;
                let errno = input.number()?;
                Failure::System {
                    step,
                    errno,
                    subject: input.text()?,
                }
            }
            1 => Failure::Exec {
                errno: input.number()?,
                path: input.text()?,
            },
            2 => {
                let index = input.number()? as u32;
                Failure::Hook {
                    index,
                    kind: input.text()?,
                    path: input.text()?,
                    reason: input.text()?,
                }
            }
            3 => Failure::Spec {
                field: input.text()?,
                reason: input.text()?,
            },
            4 => Failure::Unsupported {
                what: input.text()?,
                why: input.text()?,
            },
            _ => return None,
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::System { step, subject, errno } => Failure::System {
                step,
                subject,
                errno: errno.raw_os_error(),
            },
            Error::Exec { path, errno } => Failure::Exec {
                path,
                errno: errno.raw_os_error(),
            },
            Error::Hook {
                kind,
                index,
                path,
                reason,
            } => Failure::Hook {
                kind: kind.to_owned(),
                index: index as u32,
                path: path.display().to_string(),
                reason,
            },
            Error::InvalidSpec { field, reason } => Failure::Spec { field, reason },
            Error::Unsupported { what, why } => Failure::Unsupported { what, why },
            other => {
                let errno = Errno::PROTO.raw_os_error();
                Failure::System {
                    step: Step::Protocol,
                    subject: other.to_string(),
                    errno,
                }
            }
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::System { step, subject, errno } => Error::System {
                step,
                subject,
                errno: Errno::from_raw_os_error(errno),
            },
            Failure::Exec { path, errno } => Error::Exec {
                path,
                errno: Errno::from_raw_os_error(errno),
            },
            Failure::Hook {
                kind,
                index,
                path,
                reason,
            } => Error::Hook {
                kind: crate::hooks::HookKind::name_of(&kind),
                index: index as usize,
                path: PathBuf::from(path),
                reason,
            },
            Failure::Spec { field, reason } => Error::InvalidSpec { field, reason },
            Failure::Unsupported { what, why } => Error::Unsupported { what, why },
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    fn number(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn time(&mut self, nanoseconds: u64) {
        self.0.extend_from_slice(&nanoseconds.to_le_bytes());
    }

    /// Long texts are cut: a packet must fit the reader's buffer.
    fn text(&mut self, value: &str) {
        let bytes = &value.as_bytes()[..value.len().min(MAX_TEXT)];
        self.0.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<i32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(i32::from_le_bytes(*bytes))
    }

    fn time(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Option<String> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

const MAX_TEXT: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    fn travel(message: Message) -> Message {
        Message::decode(&message.encode()).expect("decodes")
    }

    #[test]
    fn every_message_survives_the_journey() {
        let failures = [
            Failure::System {
                step: Step::Mount,
                subject: "/proc".into(),
                errno: 1,
            },
            Failure::Exec {
                path: "nope".into(),
                errno: 2,
            },
            Failure::Hook {
                kind: "prestart".into(),
                index: 3,
                path: "/h".into(),
                reason: "x".into(),
            },
            Failure::Spec {
                field: "a.b".into(),
                reason: "bad".into(),
            },
            Failure::Unsupported {
                what: "w".into(),
                why: "y".into(),
            },
        ];
        for failure in failures {
            let copy = format!("{failure:?}");
            assert_eq!(
                format!("{:?}", travel(Message::Failed(failure))),
                format!("Failed({copy})")
            );
        }
        let warning = Warning {
            step: Step::Rlimit,
            message: "clamped".into(),
        };
        assert_eq!(
            travel(Message::Warning(warning.clone())),
            Message::Warning(warning)
        );
        assert_eq!(travel(Message::Listener(7)), Message::Listener(7));
        let step = trace::Step {
            name: "mount".into(),
            start_ns: 5,
            end_ns: u64::MAX,
            pid: 77,
        };
        let steps = vec![step; MAX_STEPS];
        assert_eq!(travel(Message::Steps(steps.clone())), Message::Steps(steps));
        for plain in [
            Message::Proceed,
            Message::RunHooks,
            Message::HooksDone,
            Message::Console,
        ] {
            let name = plain.name();
            assert_eq!(travel(plain).name(), name);
        }
    }

    #[test]
    fn a_cut_packet_is_refused() {
        let packet = Message::Failed(Failure::Exec {
            path: "program".into(),
            errno: 2,
        })
        .encode();
        for length in 0..packet.len() {
            assert_eq!(Message::decode(&packet[..length]), None, "cut at {length}");
        }
    }
}
