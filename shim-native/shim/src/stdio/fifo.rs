//! Opening the FIFOs of containerd's clients without ever blocking the event loop.

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait for a client to open the other end of an output FIFO.
const PATIENCE: Duration = Duration::from_secs(20);

/// An output FIFO. We hold a reading end too, so that a client that goes away is no EPIPE and one that
/// comes back reads on.
#[derive(Debug)]
pub struct Output {
    pub writer: OwnedFd,
    pub hold: Option<OwnedFd>,
}

/// An input FIFO. We hold a writing end, so that clients may come and go; dropping `hold` lets the reader
/// see the end once all clients are gone (CloseIO).
#[derive(Debug)]
pub struct Input {
    pub reader: OwnedFd,
    pub hold: OwnedFd,
}

pub fn is_fifo(path: &Path) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::stat(path)?.st_mode) == FileType::Fifo)
}

/// Opens an output FIFO once a reader is there: what was written before could vanish with us.
pub async fn open_output(path: &Path) -> io::Result<Output> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    let writer = loop {
        match open(path, OFlags::WRONLY) {
            Err(Errno::NXIO) if Instant::now() < deadline => {
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Err(Errno::NXIO) => {
                let waited = PATIENCE.as_secs();
                return Err(io::Error::other(format!(
                    "{}: nobody opened it for reading in {waited} s",
                    path.display()
                )));
            }
            other => break other?,
        }
    };
    Ok(Output {
        writer,
        hold: Some(open(path, OFlags::RDONLY)?),
    })
}

pub fn open_input(path: &Path) -> io::Result<Input> {
    let reader = open(path, OFlags::RDONLY)?;
    Ok(Input {
        hold: open(path, OFlags::WRONLY)?,
        reader,
    })
}

fn open(path: &Path, mode: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(
        CWD,
        path,
        mode | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )
}
