//! Damaged, truncated and oversized input: a typed error that says where, never a panic.

mod support;

use gantry_layers::{LayerError, Limits};
use support::{Archive, Sandbox, header, is_root};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sample() -> Vec<u8> {
    let records: &[(&str, &[u8])] = &[("mtime", b"1.5"), ("SCHILY.xattr.user.x", b"1")];
    Archive::default()
        .directory("d", 0o755)
        .pax(records)
        .file("d/file", &"0123456789".repeat(200))
        .file("e", "")
        .end()
}

#[test]
fn a_truncated_archive_names_the_entry_and_its_offset() {
    if !is_root() {
        return;
    }
    let archive = sample();
    let whole_headers = [0, 512, 4096, 4608, 5120];
    for length in (0..archive.len() - 512).step_by(7).chain(whole_headers) {
        match Sandbox::new().plain(&archive[..length]) {
            // Between two entries a cut cannot be seen; the digest tells.
            Ok(_) => assert!(whole_headers.contains(&length), "cut at {length} went unnoticed"),
            Err(LayerError::Archive { at: Some(at), .. }) => {
                assert!(at.offset < length as u64, "cut at {length}: {at:?}");
            }
            Err(other) => panic!("cut at {length}: {other:?}"),
        }
    }
    let message = Sandbox::new().plain(&archive[..3000]).unwrap_err().to_string();
    assert!(message.contains("entry 'd/file' at byte 512"), "{message}");
}

#[test]
fn truncated_gzip_and_zstd_are_told_apart_from_bad_archives() {
    if !is_root() {
        return;
    }
    let zstd = zstd::encode_all(&sample()[..], 3).unwrap();
    for stored in [gzip(&sample()), zstd] {
        for length in 12..stored.len() {
            let error = Sandbox::new().plain(&stored[..length]).unwrap_err();
            assert!(
                matches!(error, LayerError::Compression { .. }),
                "cut at {length}: {error:?}"
            );
        }
    }
}

#[test]
fn every_flipped_byte_of_a_gzip_layer_is_an_error_or_harmless() {
    if !is_root() {
        return;
    }
    let stored = gzip(&sample());
    let expected = Sandbox::new().plain(&stored).unwrap();
    // Magic, method and flags decide what is read at all; the times and the system byte mean nothing.
    for at in 10..stored.len() {
        let mut damaged = stored.clone();
        damaged[at] ^= 0x41;
        match Sandbox::new().plain(&damaged) {
            Err(LayerError::Compression { format, .. }) => assert_eq!(format, "gzip"),
            Err(LayerError::Archive { .. } | LayerError::Unsafe { .. } | LayerError::Limit { .. }) => {}
            Err(LayerError::System { .. }) => {}
            Ok(applied) => assert_eq!(applied, expected, "byte {at}"),
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn every_flipped_byte_of_a_header_is_noticed() {
    if !is_root() {
        return;
    }
    // The last byte of the checksum field is a blank that nobody reads.
    for at in (0..512).filter(|at| *at != 155) {
        let mut archive = Archive::default().file("file", "x").end();
        archive[at] ^= 0x55;
        let error = Sandbox::new().plain(&archive).unwrap_err();
        assert!(
            matches!(error, LayerError::Archive { .. }),
            "byte {at}: {error:?}"
        );
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    if !is_root() {
        return;
    }
    let refused = |archive: Archive, text: &str| {
        let message = Sandbox::new().plain(&archive.end()).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    };
    refused(
        Archive::default().entry(b'M', "part", "", b""),
        "entry type 'M' is not supported (entry 'part'",
    );
    refused(Archive::default().file("", "x"), "without a name");
    refused(
        Archive::default().hard_link("a", "nowhere"),
        "a hard link to 'nowhere', which is not there",
    );
    refused(
        Archive::default().directory("d", 0o755).hard_link("a", "d"),
        "directory",
    );
    refused(
        Archive::default().file("f", "").file("f/x", ""),
        "'f' is not a directory",
    );
    refused(Archive::default().pax(&[("path", b"x")]), "before its entry");
    refused(
        Archive::default().pax(&[("uid", b"4294967295")]).file("f", ""),
        "uid 4294967295",
    );
    let garbage = Sandbox::new()
        .plain(&b"no archive at all".repeat(100))
        .unwrap_err()
        .to_string();
    assert!(
        garbage.contains("checksum") && garbage.contains("at byte 0"),
        "{garbage}"
    );
}

#[test]
fn every_limit_names_itself() {
    if !is_root() {
        return;
    }
    let over = |archive: Archive, limits: Limits, text: &str| {
        let error = Sandbox::new()
            .apply_limited(&archive.end(), gantry_layers::Format::Plain, limits)
            .unwrap_err();
        assert!(matches!(error, LayerError::Limit { .. }), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    };
    let usual = Limits::default();
    let three = Archive::default().file("a", "").file("b", "").file("c", "");
    over(
        three,
        Limits {
            max_entries: 2,
            ..usual
        },
        "more than 2 entries",
    );
    over(
        Archive::default().file("abcdef", ""),
        Limits {
            max_path_bytes: 5,
            ..usual
        },
        "a name of 6 bytes",
    );
    let attribute = Archive::default()
        .pax(&[("SCHILY.xattr.user.x", b"12345")])
        .file("a", "");
    over(
        attribute,
        Limits {
            max_xattr_bytes: 4,
            ..usual
        },
        "attribute user.x of 5 bytes",
    );
    let large = Archive::default().file("a", &"x".repeat(1 << 20));
    over(
        large,
        Limits {
            max_total_bytes: 1 << 19,
            ..usual
        },
        "more than 524288 bytes",
    );
    let sparse: &[(&str, &[u8])] = &[
        ("GNU.sparse.size", b"1152921504606846976"),
        ("GNU.sparse.map", b""),
    ];
    over(
        Archive::default().pax(sparse).file("a", ""),
        usual,
        "a sparse file of 1152921504606846976 bytes",
    );
    let mut archive = Archive::default();
    archive.0.extend(header(b'x', "pax", "", 1 << 30, 0));
    over(archive, usual, "a metadata record of 1073741824 bytes");
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    if !is_root() {
        return;
    }
    for (map, body) in [
        ("0,4,2,2", "abcdef"),
        ("0,4", "ab"),
        ("8,4", "abcd"),
        ("0", ""),
        ("a,b", ""),
    ] {
        let records: &[(&str, &[u8])] = &[("GNU.sparse.size", b"10"), ("GNU.sparse.map", map.as_bytes())];
        let archive = Archive::default().pax(records).file("s", body).end();
        let error = Sandbox::new().plain(&archive).unwrap_err();
        assert!(matches!(error, LayerError::Archive { .. }), "{map}: {error:?}");
    }
}
