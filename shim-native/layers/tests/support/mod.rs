//! Archives written by hand, and directories to unpack them into.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs::{self, File};
use std::hash::Hasher;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use gantry_layers::{Applied, Compression, Format, Input, LayerError, Limits, Marks, Target, apply};
use tempfile::TempDir;

/// A tar archive, one header at a time, as wrong as a test wants it.
#[derive(Default)]
pub struct Archive(pub Vec<u8>);

impl Archive {
    pub fn entry(mut self, kind: u8, path: &str, link: &str, body: &[u8]) -> Self {
        self.0.extend(header(kind, path, link, body.len() as u64, 0o644));
        self.0.extend(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
    pub fn file(self, path: &str, body: &str) -> Self {
        self.entry(b'0', path, "", body.as_bytes())
    }
    pub fn directory(mut self, path: &str, mode: u32) -> Self {
        self.0.extend(header(b'5', path, "", 0, mode));
        self
    }
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(b'2', path, target, b"")
    }
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(b'1', path, target, b"")
    }
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let body: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| pax_record(key, value))
            .collect();
        self.entry(b'x', "pax", "", &body)
    }
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

pub fn header(kind: u8, path: &str, link: &str, size: u64, mode: u32) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000001750");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A root to unpack into, with a neighbour that must never change.
pub struct Sandbox {
    pub directory: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["root", "outside", "lower"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        fs::write(directory.path().join("outside/secret"), "untouched").unwrap();
        Self { directory }
    }
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }
    pub fn lower(&self) -> PathBuf {
        self.directory.path().join("lower")
    }
    pub fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }
    pub fn at(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }

    pub fn apply(&self, archive: &[u8], format: Format) -> Result<Applied, LayerError> {
        self.apply_limited(archive, format, Limits::default())
    }

    pub fn apply_limited(
        &self,
        archive: &[u8],
        format: Format,
        limits: Limits,
    ) -> Result<Applied, LayerError> {
        let path = self.directory.path().join("layer");
        fs::write(&path, archive).unwrap();
        let input = Input {
            file: File::open(path).unwrap(),
            offset: 0,
            length: None,
            compression: Compression::Auto,
        };
        let lowers = if format == Format::Plain {
            vec![]
        } else {
            vec![self.lower()]
        };
        let target = Target {
            directory: self.root(),
            format,
            lowers,
            sync: false,
        };
        apply(input, &target, limits, Arc::default())
    }

    pub fn plain(&self, archive: &[u8]) -> Result<Applied, LayerError> {
        self.apply(archive, Format::Plain)
    }

    pub fn overlay(&self, archive: &[u8]) -> Result<Applied, LayerError> {
        self.apply(archive, Format::Overlay(Marks::Trusted))
    }

    /// The neighbour holds what it held.
    pub fn assert_outside_untouched(&self) {
        let names: Vec<_> = fs::read_dir(self.outside())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(
            fs::read_to_string(self.outside().join("secret")).unwrap(),
            "untouched"
        );
        assert_eq!(fs::metadata(self.outside().join("secret")).unwrap().nlink(), 1);
    }
}

/// One line per file below `root`, with all that a layer tells about it.
pub fn describe(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    describe_into(root, root, &mut lines);
    lines.sort();
    lines
}

fn describe_into(root: &Path, path: &Path, lines: &mut Vec<String>) {
    let stat = fs::symlink_metadata(path).unwrap();
    let kind = stat.file_type();
    let content = if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if kind.is_file() {
        let bytes = fs::read(path).unwrap();
        let mut hash = std::hash::DefaultHasher::new();
        hash.write(&bytes);
        let sum = hash.finish();
        format!("{} bytes, sum {sum:x}", bytes.len())
    } else if kind.is_char_device() || kind.is_block_device() {
        format!("device {:x}", stat.rdev())
    } else {
        String::new()
    };
    let name = path.strip_prefix(root).unwrap().display();
    let links = if kind.is_dir() { 0 } else { stat.nlink() };
    lines.push(format!(
        "{name:?} {:o} {}:{} {}.{:09} links {links} {content}",
        stat.mode(),
        stat.uid(),
        stat.gid(),
        stat.mtime(),
        stat.mtime_nsec()
    ));
    if kind.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            describe_into(root, &entry.unwrap().path(), lines);
        }
    }
}

/// Tests that make devices, owners and trusted attributes need root; without it they say so and pass.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

pub fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A tree with one of everything.
pub fn populate(root: &Path, rich: bool) {
    fs::create_dir_all(root.join("dir/sub")).unwrap();
    fs::write(root.join("dir/file"), vec![7; 100_000]).unwrap();
    fs::write(root.join("dir/empty"), "").unwrap();
    fs::write(root.join("dir/exact"), vec![1; 512]).unwrap();
    symlink("../dir/file", root.join("dir/link")).unwrap();
    fs::hard_link(root.join("dir/file"), root.join("dir/sub/hard")).unwrap();
    let text = |path: &str| root.join(path).display().to_string();
    run("mkfifo", &[&text("fifo")]);
    run("mknod", &[&text("null"), "c", "1", "3"]);
    run("mknod", &[&text("loop"), "b", "7", "300"]);
    fs::write(root.join("suid"), "x").unwrap();
    run("chown", &["12:34", &text("suid"), &text("dir/sub")]);
    run("chown", &["-h", "56:78", &text("dir/link")]);
    run("chmod", &["6755", &text("suid")]);
    run("chmod", &["1777", &text("dir/sub")]);
    if rich {
        let long = "n".repeat(120);
        fs::create_dir_all(root.join(&long)).unwrap();
        fs::write(root.join(&long).join(&long), "long").unwrap();
        symlink(format!("{long}/{long}"), root.join("long-link")).unwrap();
        fs::hard_link(root.join(&long).join(&long), root.join(format!("{long}-hard"))).unwrap();
        run("chown", &["3000000:4000000000", &text("dir/exact")]);
        let sparse = File::create(root.join("sparse")).unwrap();
        for at in [0u64, 1 << 17, 3 << 17, 5 << 17, 7 << 17, 9 << 17, 11 << 17] {
            sparse.write_at(&[9; 4096], at).unwrap();
        }
        sparse.set_len(16 << 17).unwrap();
        File::create(root.join("hole")).unwrap().set_len(1 << 17).unwrap();
    }
    let old: &str = if rich {
        "2001-02-03 04:05:06.123456789 UTC"
    } else {
        "2001-02-03 04:05:06 UTC"
    };
    run(
        "find",
        &[
            &root.display().to_string(),
            "-depth",
            "-exec",
            "touch",
            "-h",
            "-d",
            old,
            "{}",
            ";",
        ],
    );
}
