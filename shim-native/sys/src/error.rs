//! What a failed call becomes in JavaScript: an `Error` shaped like those of `node:fs`.

use std::ffi::OsStr;
use std::path::Path;

use napi::Env;
use napi::bindgen_prelude::{JsObjectValue, JsValue};
use nix::errno::Errno;

pub type Result<T> = std::result::Result<T, SysError>;

/// A failure told with everything the caller may want to look at. Absent members are absent in JavaScript too.
#[derive(Debug, Default, Clone)]
pub struct SysError {
    /// Symbolic: `ENOENT`, or one of ours (`EINVAL_ARCHIVE`).
    pub code: String,
    /// Positive errno; 0 for our own codes.
    pub errno: i32,
    /// What went wrong, without the code and the names that [`SysError::message`] adds.
    pub what: String,
    pub syscall: Option<&'static str>,
    pub path: Option<String>,
    pub dest: Option<String>,
    pub ext_ack: Option<String>,
    pub seq: Option<u32>,
    pub entry: Option<String>,
    pub offset: Option<u64>,
}

impl SysError {
    /// A failed system call.
    pub fn errno(syscall: &'static str, errno: i32) -> Self {
        let name = Errno::from_raw(errno);
        SysError {
            code: if name == Errno::UnknownErrno {
                format!("E{errno}")
            } else {
                format!("{name:?}")
            },
            errno,
            what: name.desc().to_owned(),
            syscall: Some(syscall),
            ..Self::default()
        }
    }

    /// A call that failed for a reason the kernel did not tell; `what` should name the value and the way out.
    pub fn refused(code: &str, what: impl Into<String>) -> Self {
        SysError {
            code: code.to_owned(),
            what: what.into(),
            ..Self::default()
        }
    }

    pub fn path(mut self, path: impl AsRef<OsStr>) -> Self {
        self.path = Some(path.as_ref().to_string_lossy().into_owned());
        self
    }

    pub fn dest(mut self, path: impl AsRef<Path>) -> Self {
        self.dest = Some(path.as_ref().to_string_lossy().into_owned());
        self
    }

    /// `ENOENT: No such file or directory, mount 'a' -> 'b'`, as Node writes it.
    pub fn message(&self) -> String {
        let mut text = format!("{}: {}", self.code, self.what);
        if let Some(ext_ack) = &self.ext_ack {
            text += &format!(" ({ext_ack})");
        }
        if let Some(syscall) = self.syscall {
            text += &format!(", {syscall}");
        }
        if let Some(path) = &self.path {
            text += &format!(" '{path}'");
        }
        if let Some(dest) = &self.dest {
            text += &format!(" -> '{dest}'");
        }
        text
    }

    /// The JavaScript error object, wrapped so that napi throws or rejects with it as it is.
    pub fn into_js(self, env: &Env) -> napi::Error {
        self.build(env).unwrap_or_else(|failed| failed)
    }

    fn build(self, env: &Env) -> napi::Result<napi::Error> {
        let mut object = env.create_error(napi::Error::from_reason(self.message()))?;
        object.set_named_property("code", self.code.as_str())?;
        object.set_named_property("errno", -self.errno)?;
        let texts = [
            ("path", &self.path),
            ("dest", &self.dest),
            ("extAck", &self.ext_ack),
            ("entry", &self.entry),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                object.set_named_property(name, value.as_str())?;
            }
        }
        if let Some(syscall) = self.syscall {
            object.set_named_property("syscall", syscall)?;
        }
        if let Some(seq) = self.seq {
            object.set_named_property("seq", seq)?;
        }
        if let Some(offset) = self.offset {
            object.set_named_property("offset", offset as f64)?;
        }
        Ok(napi::Error::from(object.to_unknown()))
    }
}

/// Names the system call of a failed `rustix` or `std` operation, and what it was done to.
pub trait Context<T> {
    fn call(self, syscall: &'static str) -> Result<T>;
    fn call_on(self, syscall: &'static str, path: impl AsRef<OsStr>) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn call(self, syscall: &'static str) -> Result<T> {
        self.map_err(|e| SysError::errno(syscall, e.raw_os_error()))
    }
    fn call_on(self, syscall: &'static str, path: impl AsRef<OsStr>) -> Result<T> {
        self.call(syscall).map_err(|e| e.path(path))
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn call(self, syscall: &'static str) -> Result<T> {
        self.map_err(|e| match e.raw_os_error() {
            Some(errno) => SysError::errno(syscall, errno),
            None => SysError {
                syscall: Some(syscall),
                ..SysError::refused("EIO", e.to_string())
            },
        })
    }
    fn call_on(self, syscall: &'static str, path: impl AsRef<OsStr>) -> Result<T> {
        self.call(syscall).map_err(|e| e.path(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_call_and_paths() {
        let error = SysError::errno("mount", libc::ENOENT).path("/a").dest("/b");
        assert_eq!(error.code, "ENOENT");
        assert_eq!(
            error.message(),
            "ENOENT: No such file or directory, mount '/a' -> '/b'"
        );
    }
}
