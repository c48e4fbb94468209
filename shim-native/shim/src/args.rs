//! The command line, in the style of Go's `flag` package, as every containerd calls a shim.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// What one invocation is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `start`: bring a shim up in the background and print where it listens.
    Start,
    /// `delete`: remove whatever a dead shim left of the container.
    Delete,
    /// `-info`: describe this runtime.
    Info,
    /// `-v`: print the version.
    Version,
    /// `await`: be the shim of whatever container standard input will name.
    Await,
    /// No action: be the shim, on the socket inherited as `-listen-fd`.
    Serve,
}

/// The parsed command line. Absent strings are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    pub action: Action,
    /// Tenant namespace that owns the shim.
    pub namespace: String,
    /// The daemon's gRPC socket.
    pub address: String,
    /// Executable whose `publish` command takes an event.
    pub publish_binary: String,
    /// Task (or sandbox) id.
    pub id: String,
    /// Bundle directory where it is not the working directory.
    pub bundle: String,
    pub debug: bool,
    /// Socket to listen on instead of a computed one.
    pub socket: String,
    /// Internal, for [`Action::Serve`]: the listening socket handed down by `start`.
    pub listen_fd: Option<i32>,
    /// Internal, likewise: the descriptor the program was executed through.
    pub program_fd: Option<i32>,
}

/// Parses arguments after the program's name.
///
/// # Errors
/// A sentence naming the flag and what was wrong with it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Args, String> {
    let mut args = Args::empty();
    let mut rest = arguments.into_iter().map(text);
    while let Some(argument) = rest.next() {
        let argument = argument?;
        let Some((name, inline)) = split_flag(&argument) else {
            args.action = action(&argument)?;
            break;
        };
        let mut value = || match &inline {
            Some(value) => Ok(value.clone()),
            None => rest
                .next()
                .unwrap_or_else(|| Err(format!("flag needs an argument: -{name}"))),
        };
        match name {
            "namespace" => args.namespace = value()?,
            "address" => args.address = value()?,
            "publish-binary" => args.publish_binary = value()?,
            "id" => args.id = value()?,
            "bundle" => args.bundle = value()?,
            "socket" => args.socket = value()?,
            "debug-socket" => drop(value()?),
            "listen-fd" => args.listen_fd = Some(number(name, &value()?)?),
            "program-fd" => args.program_fd = Some(number(name, &value()?)?),
            "debug" => args.debug = boolean(name, inline.as_deref())?,
            "info" if boolean(name, inline.as_deref())? => args.action = Action::Info,
            "v" | "version" if boolean(name, inline.as_deref())? => args.action = Action::Version,
            "info" | "v" | "version" => {}
            _ => return Err(format!("flag provided but not defined: -{name}")),
        }
    }
    args.checked()
}

impl Args {
    fn empty() -> Self {
        Args {
            action: Action::Serve,
            namespace: String::new(),
            address: String::new(),
            publish_binary: String::new(),
            id: String::new(),
            bundle: String::new(),
            debug: false,
            socket: String::new(),
            listen_fd: None,
            program_fd: None,
        }
    }

    /// Refuses names that could leave a directory.
    pub fn checked(self) -> Result<Self, String> {
        if matches!(self.action, Action::Info | Action::Version | Action::Await) {
            return Ok(self);
        }
        if self.namespace.is_empty() {
            return Err("shim namespace cannot be empty: give -namespace".into());
        }
        check_identifier("-namespace", &self.namespace)?;
        if self.action != Action::Serve || !self.id.is_empty() {
            check_identifier("-id", &self.id)?;
        }
        Ok(self)
    }
}

fn text(argument: OsString) -> Result<String, String> {
    String::from_utf8(argument.into_vec()).map_err(|e| format!("argument is not UTF-8: {:?}", e.into_bytes()))
}

/// `-name`, `--name` and `-name=value`; `None` for anything that is not a flag.
fn split_flag(argument: &str) -> Option<(&str, Option<String>)> {
    let flag = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix('-'))?;
    if flag.is_empty() {
        return None;
    }
    match flag.split_once('=') {
        Some((name, value)) => Some((name, Some(value.to_owned()))),
        None => Some((flag, None)),
    }
}

fn action(word: &str) -> Result<Action, String> {
    match word {
        "start" => Ok(Action::Start),
        "delete" => Ok(Action::Delete),
        "await" => Ok(Action::Await),
        _ => Err(format!("unknown action {word:?}: use start or delete")),
    }
}

fn boolean(name: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(format!("invalid boolean value {other:?} for -{name}")),
    }
}

fn number(name: &str, value: &str) -> Result<i32, String> {
    value
        .parse()
        .map_err(|_| format!("invalid value {value:?} for -{name}: not a number"))
}

/// Ids and namespaces become path components, so nothing that could leave a directory passes.
fn check_identifier(flag: &str, value: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    if value.is_empty() || value.len() > 255 || value.starts_with('.') || !value.chars().all(plain) {
        return Err(format!(
            "{flag} {value:?} is not an identifier: use letters, digits and . _ - inside"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Args, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn takes_the_call_containerd_makes() {
        let words = "-namespace k8s.io -address /run/c.sock -publish-binary /usr/bin/containerd -id a1 start";
        let args = parsed(&words.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(args.action, Action::Start);
        assert_eq!((args.namespace.as_str(), args.id.as_str()), ("k8s.io", "a1"));
        assert_eq!(args.publish_binary, "/usr/bin/containerd");
    }

    #[test]
    fn takes_both_dashes_and_inline_values() {
        let args = parsed(&["--namespace=n", "-id=x", "-bundle", "/b", "-debug", "delete"]).unwrap();
        assert_eq!(
            (args.action, args.bundle.as_str(), args.debug),
            (Action::Delete, "/b", true)
        );
        assert!(
            !parsed(&["-namespace=n", "-id=x", "-debug=false", "start"])
                .unwrap()
                .debug
        );
    }

    #[test]
    fn info_and_version_need_nothing_else() {
        assert_eq!(parsed(&["-info"]).unwrap().action, Action::Info);
        assert_eq!(parsed(&["-v"]).unwrap().action, Action::Version);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(parsed(&["-nope"]).unwrap_err().contains("-nope"));
        assert!(
            parsed(&["-namespace", "n", "-id", "x", "stop"])
                .unwrap_err()
                .contains("stop")
        );
        assert!(parsed(&["-id", "x", "start"]).unwrap_err().contains("namespace"));
        assert!(
            parsed(&["-namespace", "n", "-id", "../x", "start"])
                .unwrap_err()
                .contains("../x")
        );
        assert!(parsed(&["-namespace", "n", "-id"]).unwrap_err().contains("-id"));
    }
}
