//! ResizePty and CloseIO.

use super::Shim;
use crate::process::{Phase, precondition};
use crate::proto::containerd::task::v3::{CloseIoRequest, ResizePtyRequest};
use std::sync::Arc;
use tonic::Status;

impl Shim {
    pub async fn resize_pty(self: &Arc<Self>, request: ResizePtyRequest) -> Result<(), Status> {
        let (_, process) = self.process(&request.id, &request.exec_id)?;
        if process.phase() == Phase::Stopped {
            return Err(precondition("cannot resize a stopped container"));
        }
        let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        let resized = process.io.resize(side(request.height), side(request.width));
        resized.map_err(|e| Status::unknown(format!("resize to {}x{}: {e}", request.width, request.height)))
    }

    pub async fn close_io(self: &Arc<Self>, request: CloseIoRequest) -> Result<(), Status> {
        let (_, process) = self.process(&request.id, &request.exec_id)?;
        if request.stdin {
            process.io.close_stdin();
        }
        Ok(())
    }
}
