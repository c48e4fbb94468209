//! Names from archives, made safe.

use crate::error::{LayerError, Result};

/// A path below the root: components joined by single slashes, none of them `.` or `..`. Empty: the root itself.
pub type CleanPath = Vec<u8>;

/// Takes a name as containerd does: absolute means from the root, `.` and `a/..` vanish. A name that climbs
/// above the root is refused.
pub fn clean(name: &[u8]) -> Result<CleanPath> {
    if name.contains(&0) {
        return Err(LayerError::archive("a name contains a zero byte"));
    }
    let mut path = CleanPath::with_capacity(name.len());
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if path.is_empty() => {
                let what = format!(
                    "the name '{}' leads outside of the root",
                    String::from_utf8_lossy(name)
                );
                return Err(LayerError::Unsafe { what, at: None });
            }
            b".." => path.truncate(split(&path).0.len()),
            component => push(&mut path, component),
        }
    }
    Ok(path)
}

/// Parent and last component. The root has itself as parent and an empty name.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

pub fn push(path: &mut CleanPath, component: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(component);
}

pub fn join(parent: &[u8], name: &[u8]) -> CleanPath {
    let mut path = parent.to_vec();
    push(&mut path, name);
    path
}

/// `path` is `above`, or below it.
pub fn is_within(path: &[u8], above: &[u8]) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_the_root() {
        for (name, expected) in [
            ("./", ""),
            ("/", ""),
            ("/etc//passwd", "etc/passwd"),
            ("a/./b/", "a/b"),
            ("a/../b", "b"),
        ] {
            assert_eq!(clean(name.as_bytes()).unwrap(), expected.as_bytes(), "{name}");
        }
    }

    #[test]
    fn climbing_out_is_refused() {
        for name in ["..", "../a", "/../a", "a/../../b", "./.."] {
            assert!(
                matches!(clean(name.as_bytes()), Err(LayerError::Unsafe { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn within_compares_whole_components() {
        assert!(is_within(b"a/b", b"a") && is_within(b"a", b"a") && is_within(b"a", b""));
        assert!(!is_within(b"ab", b"a"));
    }
}
