//! Extended attributes: xattr(7).

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object, Uint8Array};
use napi_derive::napi;
use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;

use crate::error::{Context, Result};
use crate::thread::promise;

#[napi]
pub fn set_xattr(
    env: &Env,
    path: String,
    name: String,
    value: Uint8Array,
    follow_symlinks: bool,
) -> napi::Result<Object<'_>> {
    let value = value.to_vec();
    promise(env, move || {
        let flags = XattrFlags::empty();
        match follow_symlinks {
            true => fs::setxattr(&path, &name, &value, flags),
            false => fs::lsetxattr(&path, &name, &value, flags),
        }
        .call_on("setxattr", &path)
    })
}

#[napi]
pub fn get_xattr(env: &Env, path: String, name: String, follow_symlinks: bool) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let value = grow(|buffer| match follow_symlinks {
            true => fs::getxattr(&path, &name, buffer),
            false => fs::lgetxattr(&path, &name, buffer),
        });
        value.call_on("getxattr", &path).map(Buffer::from)
    })
}

#[napi]
pub fn list_xattr(env: &Env, path: String, follow_symlinks: bool) -> napi::Result<Object<'_>> {
    promise(env, move || {
        let names = grow(|buffer| match follow_symlinks {
            true => fs::listxattr(&path, buffer),
            false => fs::llistxattr(&path, buffer),
        });
        names.call_on("listxattr", &path).map(split_names)
    })
}

#[napi]
pub fn remove_xattr(
    env: &Env,
    path: String,
    name: String,
    follow_symlinks: bool,
) -> napi::Result<Object<'_>> {
    promise(env, move || -> Result<()> {
        match follow_symlinks {
            true => fs::removexattr(&path, &name),
            false => fs::lremovexattr(&path, &name),
        }
        .call_on("removexattr", &path)
    })
}

fn split_names(list: Vec<u8>) -> Vec<String> {
    list.split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// Values are small as a rule: one call with a page, more only when that was too little.
fn grow(mut read: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    loop {
        match read(&mut buffer) {
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            Err(error) => return Err(error),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }
}
