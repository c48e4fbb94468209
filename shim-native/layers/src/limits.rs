//! What one archive may ask of us.

/// Bounds against archives made to exhaust the host. All are far above what images hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_entries: u64,
    pub max_path_bytes: u64,
    pub max_xattr_bytes: u64,
    /// Of the uncompressed stream, and of a sparse file's size.
    pub max_total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_entries: 4_000_000,
            max_path_bytes: 4096,
            max_xattr_bytes: 64 * 1024,
            max_total_bytes: 1 << 40,
        }
    }
}
