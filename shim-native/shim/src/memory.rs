//! Gives memory back once a shim has settled down.
//!
//! A shim lives as long as its container and does almost nothing after the start, yet the start has
//! mapped most of the program. Those pages are clean copies of the file: dropped, they cost a minor fault
//! each if they are needed again.

use crate::log;
use std::ffi::c_void;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How long it must have been quiet.
const QUIET: Duration = Duration::from_millis(500);

/// Notify it after work that touched much code.
#[derive(Default)]
pub struct Settling(Notify);

impl Settling {
    pub fn worked(&self) {
        self.0.notify_one();
    }

    /// Releases memory whenever work is followed by quiet.
    pub async fn run(&self) {
        loop {
            self.0.notified().await;
            while timeout(QUIET, self.0.notified()).await.is_ok() {}
            release();
            sleep(QUIET).await;
        }
    }
}

/// Drops the pages of read-only program segments and the free part of the heap.
pub fn release() {
    // SAFETY: malloc_trim only returns unused pages.
    unsafe { libc::malloc_trim(0) };
    // SAFETY: `drop_segments` matches the expected signature and ignores its data pointer.
    unsafe { libc::dl_iterate_phdr(Some(drop_segments), std::ptr::null_mut()) };
    log::debug!("idle memory released");
}

/// Visits one loaded object. Segments that were never writable have no private changes: their pages come
/// back from the file. (Relocated read-only data lies in a writable segment and is left alone.)
unsafe extern "C" fn drop_segments(info: *mut libc::dl_phdr_info, _size: usize, _data: *mut c_void) -> i32 {
    const PAGE: usize = 4096;
    // SAFETY: dl_iterate_phdr passes a valid description, with `dlpi_phnum` headers, for this call.
    let (base, headers) = unsafe {
        let info = &*info;
        (
            info.dlpi_addr as usize,
            std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()),
        )
    };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        // Whole pages inside the segment only; a page at its edge may belong to another one.
        let start = (base + header.p_vaddr as usize).next_multiple_of(PAGE);
        let end = (base + header.p_vaddr as usize + header.p_memsz as usize) / PAGE * PAGE;
        if start < end {
            // SAFETY: the range lies in a private, never written file mapping, which the kernel fills
            // again from the file on the next access.
            unsafe { libc::madvise(start as *mut c_void, end - start, libc::MADV_DONTNEED) };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on_after_a_release() {
        let before: Vec<u64> = (0..1000).collect();
        super::release();
        assert_eq!(before.iter().sum::<u64>(), 499_500);
        super::release();
        assert!(format!("{before:?}").contains("999"));
    }
}
