//! Every form GNU tar writes unpacks to what GNU tar unpacks it to.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gantry_layers::{Compression, Format, Input, LayerError, Limits, Target, apply};
use support::{Archive, Sandbox, describe, is_root, populate, run};

fn agree_with_gnu_tar(rich: bool, options: &[&str]) {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let source = sandbox.lower();
    populate(&source, rich);
    let path = |name: &str| sandbox.directory.path().join(name).display().to_string();
    let (archive, theirs) = (path("archive"), path("theirs"));
    let source = source.display().to_string();
    run(
        "tar",
        &[options, &["--numeric-owner", "-cf", &archive, "-C", &source, "."]].concat(),
    );
    fs::create_dir(&theirs).unwrap();
    run("tar", &["--numeric-owner", "-xpf", &archive, "-C", &theirs]);
    sandbox.plain(&fs::read(&archive).unwrap()).unwrap();
    assert_eq!(
        describe(&sandbox.root()),
        describe(Path::new(&theirs)),
        "{options:?}"
    );
    if options.contains(&"-S") {
        let blocks = fs::metadata(sandbox.at("sparse")).unwrap().blocks();
        assert!(blocks < 1000, "the holes are holes: {blocks} blocks");
    }
}

#[test]
fn v7_and_ustar() {
    agree_with_gnu_tar(
        false,
        &[
            "--format=v7",
            "--exclude=null",
            "--exclude=loop",
            "--exclude=fifo",
        ],
    );
    agree_with_gnu_tar(false, &["--format=ustar"]);
}

#[test]
fn gnu_with_long_names_and_sparse_files() {
    agree_with_gnu_tar(true, &["--format=gnu"]);
    agree_with_gnu_tar(true, &["--format=gnu", "-S"]);
}

#[test]
fn pax_with_nanoseconds_and_every_sparse_version() {
    agree_with_gnu_tar(true, &["--format=pax"]);
    for version in ["0.0", "0.1", "1.0"] {
        let version = format!("--sparse-version={version}");
        agree_with_gnu_tar(true, &["--format=pax", "-S", &version]);
    }
}

#[test]
fn attributes_and_capabilities_survive_a_change_of_owner() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    // VFS_CAP_REVISION_2 with CAP_NET_BIND_SERVICE, effective.
    let capability = [&[1, 0, 0, 2, 0, 4][..], &[0; 14]].concat();
    let records: &[(&str, &[u8])] = &[
        ("uid", b"1000"),
        ("SCHILY.xattr.security.capability", &capability),
        ("SCHILY.xattr.trusted.x", b"\0y"),
    ];
    let archive = Archive::default()
        .pax(records)
        .file("ping", "x")
        .pax(records)
        .symlink("link", "ping");
    // A link cannot have file capabilities, but trusted attributes can be on anything.
    let archive = archive.pax(&records[2..]).directory("dir", 0o700).end();
    let outcome = sandbox.plain(&archive);
    let mut value = [0; 64];
    let length = rustix::fs::lgetxattr(sandbox.at("ping"), "security.capability", &mut value).unwrap();
    assert_eq!(value[..length], capability);
    let length = rustix::fs::lgetxattr(sandbox.at("dir"), "trusted.x", &mut value).unwrap();
    assert_eq!(&value[..length], b"\0y");
    assert_eq!(fs::metadata(sandbox.at("ping")).unwrap().uid(), 1000);
    outcome.unwrap();
}

/// Bytes compressed by the program of that name.
fn compressed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let owned = bytes.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&owned).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn many_members_frames_and_what_trails_them() {
    if !is_root() {
        return;
    }
    let archive = Archive::default()
        .file("a", &"a".repeat(300_000))
        .file("b", "b")
        .end();
    let expected = Sandbox::new().plain(&archive).unwrap();
    let (first, second) = archive.split_at(1000);
    let gzip = [compressed("gzip", first), compressed("gzip", second)].concat();
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let skippable = [&0x184d_2a53u32.to_le_bytes()[..], &4u32.to_le_bytes(), b"note"].concat();
    let zstd = [skippable.clone(), frame(first), skippable, frame(second)].concat();
    for stored in [gzip, zstd] {
        for trail in [&b""[..], &[0; 700], b"garbage", &[0x1f]] {
            let sandbox = Sandbox::new();
            assert_eq!(
                sandbox.plain(&[&stored, trail].concat()).unwrap(),
                expected,
                "{trail:?}"
            );
            assert_eq!(sandbox.read("b"), "b");
        }
    }
}

#[test]
fn the_digest_covers_what_follows_the_archive() {
    if !is_root() {
        return;
    }
    let archive = Archive::default().file("a", "a").end();
    let longer = [&archive[..], &[0; 10240], b"and more"].concat();
    let applied = Sandbox::new().plain(&longer).unwrap();
    assert_eq!(
        (applied.uncompressed_bytes, applied.entries),
        (longer.len() as u64, 1)
    );
    let path = Sandbox::new();
    fs::write(path.at("x"), &longer).unwrap();
    let theirs = run("sha256sum", &[&path.at("x").display().to_string()]);
    let ours: String = applied.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(ours.as_bytes(), &theirs[..64]);
}

fn apply_part(stored: &[u8], offset: u64, length: Option<u64>, cancel: bool) -> Result<u64, LayerError> {
    let sandbox = Sandbox::new();
    let path = sandbox.directory.path().join("stored");
    fs::write(&path, stored).unwrap();
    let input = Input {
        file: File::open(path).unwrap(),
        offset,
        length,
        compression: Compression::Auto,
    };
    let target = Target {
        directory: sandbox.root(),
        format: Format::Plain,
        lowers: vec![],
        sync: true,
    };
    let cancel = Arc::new(AtomicBool::new(cancel));
    apply(input, &target, Limits::default(), cancel).map(|applied| applied.uncompressed_bytes)
}

#[test]
fn a_part_of_a_file_is_a_layer_too() {
    if !is_root() {
        return;
    }
    let archive = Archive::default().file("a", &"a".repeat(5000)).end();
    let stored = [b"before", &compressed("gzip", &archive)[..]].concat();
    let length = stored.len() as u64 - 6;
    let followed = [&stored[..], &compressed("gzip", b"not ours")].concat();
    assert_eq!(
        apply_part(&followed, 6, Some(length), false).unwrap(),
        archive.len() as u64
    );
    assert!(apply_part(&followed, 6, None, false).unwrap() > archive.len() as u64);
    assert!(apply_part(&followed, 6, Some(length - 1), false).is_err());
}

#[test]
fn a_cancelled_job_says_so() {
    let archive = Archive::default().file("a", &"a".repeat(5000)).end();
    assert!(matches!(
        apply_part(&archive, 0, None, true),
        Err(LayerError::Cancelled)
    ));
}

#[test]
fn an_empty_layer_is_one() {
    let applied = Sandbox::new().plain(&[0; 1024]).unwrap();
    assert_eq!((applied.entries, applied.uncompressed_bytes), (0, 1024));
}

#[test]
fn entries_replace_each_other_and_directories_merge() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.at("dir/kept")).unwrap();
    fs::create_dir_all(sandbox.at("becomes-file/x")).unwrap();
    fs::write(sandbox.at("becomes-dir"), "").unwrap();
    fs::write(sandbox.at("target"), "old").unwrap();
    fs::hard_link(sandbox.at("target"), sandbox.at("other-name")).unwrap();
    let archive = Archive::default()
        .directory("dir", 0o711)
        .file("becomes-file", "file")
        .file("becomes-dir/x", "")
        .file("target", "new")
        .file("twice", "1")
        .file("twice", "2");
    // A file in the way of a directory that is only implied is not silently replaced.
    assert!(sandbox.plain(&archive.end()).is_err());
    let archive = Archive::default()
        .directory("dir", 0o711)
        .file("becomes-file", "file")
        .directory("becomes-dir", 0o700)
        .file("becomes-dir/x", "x")
        .file("target", "new")
        .file("twice", "1")
        .file("twice", "2");
    sandbox.plain(&archive.end()).unwrap();
    assert!(sandbox.at("dir/kept").is_dir());
    assert_eq!(fs::metadata(sandbox.at("dir")).unwrap().mode() & 0o7777, 0o711);
    assert_eq!(sandbox.read("becomes-file"), "file");
    assert_eq!(sandbox.read("becomes-dir/x"), "x");
    assert_eq!(
        (sandbox.read("target"), sandbox.read("other-name")),
        ("new".into(), "old".into())
    );
    assert_eq!(sandbox.read("twice"), "2");
    assert_eq!(fs::metadata(sandbox.at("dir")).unwrap().mtime(), 0o1750);
}
