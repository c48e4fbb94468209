//! Turning the runtime library's results into answers.

use crate::criu::Refusal;
use crate::log;
use gantry_runtime::{Error, ErrorKind, Warning};
use tonic::Status;

/// An error of `what` ("create failed") in the words Docker and containerd users know. A missing program
/// or file is not "not found": that code is for tasks and processes.
pub fn status(what: &str, error: &Error) -> Status {
    let message = format!("OCI runtime {what}: {error}");
    match error.kind() {
        ErrorKind::InvalidArgument => Status::invalid_argument(message),
        ErrorKind::FailedPrecondition => Status::failed_precondition(message),
        ErrorKind::Unsupported if !matches!(error, Error::Exec { .. }) => Status::unimplemented(message),
        _ => Status::unknown(message),
    }
}

/// A refusal of CRIU, or the lack of it.
pub fn refused(what: &str, refusal: &Refusal) -> Status {
    let message = format!("{what}: {refusal}");
    match refusal {
        Refusal::Missing { .. } => Status::failed_precondition(message),
        Refusal::Wish(_) => Status::invalid_argument(message),
        Refusal::Broken(_) | Refusal::Refused { .. } => Status::unknown(message),
    }
}

/// The exit status a shell gives a program that could not be executed.
pub fn exit_status(error: &Error) -> u32 {
    match error {
        Error::Exec { .. } if error.kind() == ErrorKind::NotFound => 127,
        Error::Exec { .. } => 126,
        _ => 255,
    }
}

pub fn log_warnings(what: &str, warnings: &[Warning]) {
    for warning in warnings {
        log::warning!("{what}: {}: {}", warning.step.label(), warning.message);
    }
}
