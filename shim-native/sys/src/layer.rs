//! Layers: the crate `gantry-layers`, from JavaScript.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_layers::{
    Applied, Changes, Compression, Created, Format, Input, LayerError, Limits, Marks, Packing, Target, Time,
    apply, create,
};
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

use crate::error::{Context, Result, SysError};
use crate::thread::promise;

/// Stops the job it was given to.
#[napi]
#[derive(Default)]
pub struct CancelToken {
    stop: Arc<AtomicBool>,
}

#[napi]
impl CancelToken {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi]
    pub fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// What the job looks at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }
}

#[napi(object)]
#[derive(Default)]
pub struct LayerLimits {
    pub max_entries: Option<i64>,
    pub max_path_bytes: Option<i64>,
    pub max_xattr_bytes: Option<i64>,
    pub max_total_bytes: Option<i64>,
}

#[napi(object)]
pub struct ApplyLayerRequest {
    pub source: String,
    pub offset: Option<i64>,
    pub length: Option<i64>,
    pub compression: Option<String>,
    pub target: String,
    pub format: String,
    pub userxattr: Option<bool>,
    pub lowers: Option<Vec<String>>,
    pub sync: Option<bool>,
    pub limits: Option<LayerLimits>,
}

#[napi(object)]
pub struct ApplyLayerResult {
    pub diff_id: String,
    pub uncompressed_bytes: i64,
    pub entries: i64,
    pub skipped_xattrs: i64,
}

#[napi]
pub fn apply_layer<'env>(
    env: &'env Env,
    request: ApplyLayerRequest,
    cancel: &CancelToken,
) -> napi::Result<Object<'env>> {
    let cancel = Arc::clone(&cancel.stop);
    promise(env, move || {
        let limits = limits(request.limits.as_ref())?;
        let applied = apply(input(&request)?, &target(&request)?, limits, cancel).map_err(translate)?;
        Ok(ApplyLayerResult::from(applied))
    })
}

fn input(request: &ApplyLayerRequest) -> Result<Input> {
    Ok(Input {
        file: File::open(&request.source).call_on("open", &request.source)?,
        offset: count("offset", request.offset)?.unwrap_or(0),
        length: count("length", request.length)?,
        compression: compression(request.compression.as_deref().unwrap_or("auto"))?,
    })
}

fn compression(name: &str) -> Result<Compression> {
    match name {
        "auto" => Ok(Compression::Auto),
        "none" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        other => Err(unknown("compression", other, "auto, none, gzip, zstd")),
    }
}

fn marks(userxattr: Option<bool>) -> Marks {
    if userxattr.unwrap_or(false) {
        Marks::User
    } else {
        Marks::Trusted
    }
}

fn target(request: &ApplyLayerRequest) -> Result<Target> {
    let marks = marks(request.userxattr);
    Ok(Target {
        directory: PathBuf::from(&request.target),
        format: match request.format.as_str() {
            "plain" => Format::Plain,
            "overlay" => Format::Overlay(marks),
            other => return Err(unknown("format", other, "plain, overlay")),
        },
        lowers: request.lowers.iter().flatten().map(PathBuf::from).collect(),
        sync: request.sync.unwrap_or(false),
    })
}

fn limits(asked: Option<&LayerLimits>) -> Result<Limits> {
    let mut limits = Limits::default();
    if let Some(asked) = asked {
        let pairs = [
            ("maxEntries", asked.max_entries, &mut limits.max_entries),
            ("maxPathBytes", asked.max_path_bytes, &mut limits.max_path_bytes),
            (
                "maxXattrBytes",
                asked.max_xattr_bytes,
                &mut limits.max_xattr_bytes,
            ),
            (
                "maxTotalBytes",
                asked.max_total_bytes,
                &mut limits.max_total_bytes,
            ),
        ];
        for (name, value, limit) in pairs {
            *limit = count(name, value)?.unwrap_or(*limit);
        }
    }
    Ok(limits)
}

fn count(name: &str, value: Option<i64>) -> Result<Option<u64>> {
    value
        .map(|value| {
            u64::try_from(value)
                .map_err(|_| SysError::refused("EINVAL", format!("{name} is negative: {value}")))
        })
        .transpose()
}

fn unknown(name: &str, value: &str, allowed: &str) -> SysError {
    SysError::refused("EINVAL", format!("unknown {name} '{value}'; allowed: {allowed}"))
}

#[napi(object)]
pub struct CreateLayerRequest {
    pub upper: String,
    pub mode: String,
    pub lower: Option<String>,
    pub lowers: Option<Vec<String>>,
    pub userxattr: Option<bool>,
    pub output: String,
    pub compression: String,
    pub latest_seconds: Option<i64>,
}

#[napi(object)]
pub struct CreateLayerResult {
    pub diff_id: String,
    pub digest: String,
    pub size_bytes: i64,
    pub uncompressed_bytes: i64,
    pub entries: i64,
}

#[napi]
pub fn create_layer<'env>(
    env: &'env Env,
    request: CreateLayerRequest,
    cancel: &CancelToken,
) -> napi::Result<Object<'env>> {
    let cancel = Arc::clone(&cancel.stop);
    promise(env, move || {
        let changes = changes(&request)?;
        let compression = compression(&request.compression)?;
        if compression == Compression::Auto {
            return Err(unknown("compression", "auto", "none, gzip, zstd"));
        }
        let output = File::create_new(&request.output).call_on("open", &request.output)?;
        let latest = request.latest_seconds.map(|seconds| Time {
            seconds,
            nanoseconds: 0,
        });
        let packing = Packing { compression, latest };
        let outcome = create(&changes, output, packing, cancel).map_err(translate);
        if outcome.is_err() {
            // A part of a layer is of no use to anybody.
            let _ = std::fs::remove_file(&request.output);
        }
        outcome.map(CreateLayerResult::from)
    })
}

fn changes(request: &CreateLayerRequest) -> Result<Changes> {
    match request.mode.as_str() {
        "overlay" => Ok(Changes::Upper {
            directory: PathBuf::from(&request.upper),
            marks: marks(request.userxattr),
            lowers: request.lowers.iter().flatten().map(PathBuf::from).collect(),
        }),
        "diff" => Ok(Changes::Between {
            lower: request.lower.as_ref().map(PathBuf::from),
            upper: PathBuf::from(&request.upper),
        }),
        other => Err(unknown("mode", other, "overlay, diff")),
    }
}

impl From<Created> for CreateLayerResult {
    fn from(created: Created) -> Self {
        let written = created.written;
        Self {
            diff_id: digest(&written.diff_sha256),
            digest: digest(&written.sha256),
            size_bytes: written.bytes as i64,
            uncompressed_bytes: written.uncompressed_bytes as i64,
            entries: created.entries as i64,
        }
    }
}

impl From<Applied> for ApplyLayerResult {
    fn from(applied: Applied) -> Self {
        Self {
            diff_id: digest(&applied.sha256),
            uncompressed_bytes: applied.uncompressed_bytes as i64,
            entries: applied.entries as i64,
            skipped_xattrs: applied.skipped_xattrs as i64,
        }
    }
}

fn digest(sha256: &[u8; 32]) -> String {
    sha256
        .iter()
        .fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn translate(error: LayerError) -> SysError {
    let position = error.position().cloned();
    let code = match &error {
        LayerError::Archive { .. } => "EINVAL_ARCHIVE",
        LayerError::Unsafe { .. } => "EUNSAFE_ARCHIVE",
        LayerError::Limit { .. } => "ELIMIT_ARCHIVE",
        LayerError::Compression { .. } => "ECOMPRESSION",
        LayerError::Cancelled => "ECANCELED",
        LayerError::System { .. } => "",
    };
    let mut translated = match &error {
        LayerError::System {
            call, path, errno, ..
        } => SysError::errno(call, errno.raw_os_error()).path(path),
        _ => SysError::refused(code, error.to_string()),
    };
    if let Some(position) = position {
        if translated.errno != 0 && !position.entry.is_empty() {
            translated.what += &format!(" (entry '{}' at byte {})", position.entry, position.offset);
        }
        translated.entry = Some(position.entry);
        translated.offset = Some(position.offset);
    }
    translated
}
