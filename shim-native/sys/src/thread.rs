//! Work off the JavaScript thread: one call, one thread, one promise.
//!
//! A thread of its own (about 20 µs) rather than libuv's pool of four, because these calls may block for long
//! (unmount, a layer, flock), and because a thread that entered a network namespace or changed its
//! working directory can simply end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::Env;
use napi::bindgen_prelude::{Object, ToNapiValue};

use crate::error::{Result, SysError};

/// Runs `work` on a new thread; the promise settles with its outcome, made into a JavaScript value by `convert`.
pub fn promise_with<'env, T, J>(
    env: &'env Env,
    work: impl FnOnce() -> Result<T> + Send + 'static,
    convert: impl FnOnce(&Env, T) -> napi::Result<J> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let run = move || {
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(SysError::refused(
                "EPANIC",
                "the native call panicked: a bug in gantry-sys",
            ))
        });
        deferred.resolve(move |env: Env| match outcome {
            Ok(value) => convert(&env, value),
            Err(error) => Err(error.into_js(&env)),
        });
    };
    std::thread::Builder::new()
        .name("gantry-sys".to_owned())
        .spawn(run)
        .map_err(|e| SysError::errno("clone", e.raw_os_error().unwrap_or(libc::EAGAIN)).into_js(env))?;
    Ok(promise)
}

/// [`promise_with`] for values that are JavaScript values already.
pub fn promise<'env, T>(
    env: &'env Env,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> napi::Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
{
    promise_with(env, work, |_, value| Ok(value))
}
