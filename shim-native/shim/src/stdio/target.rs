//! Where a process's output goes, as a caller writes it down.

use std::path::PathBuf;

/// Most log files kept for one process; each rotation touches all of them.
const MAX_FILES: u64 = 1000;

/// A parsed stdout or stderr field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Empty: `/dev/null`.
    Null,
    /// A bare path: a FIFO, or a file that exists already.
    Path(PathBuf),
    /// `file:///path`: appended to, made if missing; takes both streams.
    File(PathBuf),
    /// `binary:///program?key=value`: a logger fed by pipes; takes both streams.
    Binary(Binary),
    /// `gantry:///socket?log=…`: ours; takes both streams and standard input.
    Gantry(Gantry),
}

/// A logging program (containerd's `binary` scheme).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    pub program: PathBuf,
    /// Keys and non-empty values in the order given.
    pub arguments: Vec<String>,
    /// `binary-v2`: readiness is one byte; a mere end of file means the program failed.
    pub strict: bool,
}

/// Gantry's own stdio: an attach socket and, if asked, a log file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gantry {
    /// Absolute path of the attach socket.
    pub socket: PathBuf,
    /// Absolute path of the json-file log; `None`: no log.
    pub log: Option<PathBuf>,
    /// Bytes after which the log is rotated; 0: never.
    pub max_size: u64,
    /// How many files there are at most, the live one included; at least 1.
    pub max_file: u32,
    pub stdin: Stdin,
    /// JSON object that becomes `"attrs":{…}` of every log line.
    pub attrs: Option<String>,
    /// Bytes of lines that may wait for the disk before more are dropped; `None`: none are, output waits.
    pub buffer: Option<u64>,
    /// Note of a reader (docs/logs.md) without whom no line goes; output waits for it, or with `buffer` lines are
    /// dropped.
    pub reader: Option<PathBuf>,
}

/// What becomes of standard input in [`Gantry`] mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    None,
    /// Stays open whoever comes and goes, until CloseIO or an end-of-input frame.
    Open,
    /// Closes when an attached client that may send input leaves.
    Once,
}

impl Target {
    /// # Errors
    /// A sentence naming the URI and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Target::Null);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Target::Path(PathBuf::from(text)));
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = absolute(text, &decode(path))?;
        match scheme {
            "file" => Ok(Target::File(path)),
            "binary" | "binary-v2" => Ok(Target::Binary(binary(path, query, scheme == "binary-v2"))),
            "gantry" => gantry(text, path, query).map(Target::Gantry),
            _ => Err(format!(
                "unknown STDIO scheme {scheme} in {text:?}: use a FIFO's path, file, binary or gantry"
            )),
        }
    }

    /// Whether the target given for stdout takes stderr too.
    pub fn takes_both(&self) -> bool {
        matches!(self, Target::File(_) | Target::Binary(_) | Target::Gantry(_))
    }
}

fn binary(program: PathBuf, query: &str, strict: bool) -> Binary {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let arguments = pairs
        .flat_map(|(k, v)| [k.into_owned(), v.into_owned()])
        .filter(|s| !s.is_empty())
        .collect();
    Binary {
        program,
        arguments,
        strict,
    }
}

fn gantry(text: &str, socket: PathBuf, query: &str) -> Result<Gantry, String> {
    let mut parsed = Gantry {
        socket,
        max_file: 1,
        ..Gantry::default()
    };
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "log" if value.is_empty() => {}
            "log" => parsed.log = Some(absolute(text, &value)?),
            "max-size" => parsed.max_size = number(&key, &value)?,
            "max-file" => parsed.max_file = number(&key, &value)?.clamp(1, MAX_FILES) as u32,
            "stdin" => parsed.stdin = stdin(&value)?,
            "attrs" => parsed.attrs = Some(object(&key, &value)?),
            "buffer" => parsed.buffer = Some(number(&key, &value)?),
            "reader" => parsed.reader = Some(absolute(text, &value)?),
            _ => return Err(format!("unknown parameter {key:?} in {text:?}")),
        }
    }
    Ok(parsed)
}

fn stdin(value: &str) -> Result<Stdin, String> {
    match value {
        "" | "none" => Ok(Stdin::None),
        "open" => Ok(Stdin::Open),
        "once" => Ok(Stdin::Once),
        _ => Err(format!("stdin={value:?}: use none, open or once")),
    }
}

fn number(key: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("{key}={value:?} is not a whole number"))
}

fn object(key: &str, value: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value) {
        Ok(map) => Ok(serde_json::Value::Object(map).to_string()),
        Err(error) => Err(format!("{key}={value:?} is no JSON object: {error}")),
    }
}

fn absolute(text: &str, path: &str) -> Result<PathBuf, String> {
    if path.starts_with('/') {
        return Ok(PathBuf::from(path));
    }
    Err(format!("{path:?} in {text:?} is not an absolute path"))
}

/// Percent-decoding alone: in a path, unlike in a query, `+` is a plus.
fn decode(path: &str) -> String {
    let protected = path.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(protected.as_bytes())
        .map(|(key, _)| key.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_schemes_apart() {
        assert_eq!(Target::parse("").unwrap(), Target::Null);
        assert_eq!(
            Target::parse("/b/init-stdout").unwrap(),
            Target::Path("/b/init-stdout".into())
        );
        assert_eq!(
            Target::parse("file:///a%20b/c+d").unwrap(),
            Target::File("/a b/c+d".into())
        );
        let Target::Binary(logger) = Target::parse("binary:///bin/l?id=x&flag").unwrap() else {
            panic!()
        };
        assert_eq!(logger.arguments, ["id", "x", "flag"]);
        assert!(Target::parse("npipe:///x").unwrap_err().contains("npipe"));
        assert!(Target::parse("file://relative").unwrap_err().contains("relative"));
    }

    #[test]
    fn reads_our_own_scheme() {
        let text = "gantry:///r/a.sock?log=%2Fl%2Fx.log&max-size=100&max-file=3&stdin=once&attrs={\"tag\":\"a+b\"}&buffer=9&reader=/l/n";
        let Target::Gantry(got) = Target::parse(text).unwrap() else {
            panic!()
        };
        let want = Gantry {
            socket: "/r/a.sock".into(),
            log: Some("/l/x.log".into()),
            max_size: 100,
            max_file: 3,
            stdin: Stdin::Once,
            attrs: Some(r#"{"tag":"a b"}"#.into()),
            buffer: Some(9),
            reader: Some("/l/n".into()),
        };
        assert_eq!(got, want);
        assert!(
            Target::parse("gantry:///s?log=x")
                .unwrap_err()
                .contains("absolute")
        );
        assert!(
            Target::parse("gantry:///s?max-size=1k")
                .unwrap_err()
                .contains("1k")
        );
        assert!(
            Target::parse("gantry:///s?stdin=maybe")
                .unwrap_err()
                .contains("maybe")
        );
        assert!(
            Target::parse("gantry:///s?colour=red")
                .unwrap_err()
                .contains("colour")
        );
    }
}
