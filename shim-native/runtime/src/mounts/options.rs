//! fstab-style option strings, sorted into what each kernel call wants.

use crate::kernel::attr;

/// Options of one mount, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `MOUNT_ATTR_*` for the top mount alone.
    pub set: u64,
    pub clear: u64,
    /// `MOUNT_ATTR_*` for every mount of the tree (`rro`, `rnosuid`, ...).
    pub set_recursive: u64,
    pub clear_recursive: u64,
    /// Propagation changes in the order given: (`MS_SHARED`..., whole tree).
    pub propagation: Vec<(u64, bool)>,
    pub bind: Option<Bind>,
    pub remount: bool,
    pub copy_up: bool,
    /// `idmap` (false) or `ridmap` (true).
    pub idmap: Option<bool>,
    /// The rest, for the file system itself: key and, after `=`, value.
    pub data: Vec<(String, Option<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    One,
    Tree,
}

impl Options {
    pub(crate) fn parse<S: AsRef<str>>(options: &[S]) -> Self {
        let mut parsed = Options::default();
        for option in options {
            parsed.take(option.as_ref());
        }
        parsed
    }

    /// Whether the top mount ends up read-only.
    pub(crate) fn read_only(&self) -> bool {
        (self.set | self.set_recursive) & attr::RDONLY != 0
    }

    fn take(&mut self, option: &str) {
        if self.take_word(option) || self.take_attribute(option) || self.take_propagation(option) {
            return;
        }
        match option.split_once('=') {
            Some((key, value)) => self.data.push((key.to_owned(), Some(value.to_owned()))),
            None => self.data.push((option.to_owned(), None)),
        }
    }

    fn take_word(&mut self, option: &str) -> bool {
        match option {
            // Words that only fstab or a default mean something by.
            "" | "defaults" | "async" | "nomand" | "noiversion" | "loud" | "nolazytime" => {}
            "bind" => self.bind = self.bind.or(Some(Bind::One)),
            "rbind" => self.bind = Some(Bind::Tree),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(false),
            "ridmap" => self.idmap = Some(true),
            _ => return false,
        }
        true
    }

    fn take_attribute(&mut self, option: &str) -> bool {
        if let Some((set, clear)) = attribute(option) {
            self.set = (self.set & !clear) | set;
            self.clear = (self.clear & !set) | clear;
            return true;
        }
        let Some((set, clear)) = option.strip_prefix('r').and_then(attribute) else {
            return false;
        };
        self.set_recursive = (self.set_recursive & !clear) | set;
        self.clear_recursive = (self.clear_recursive & !set) | clear;
        true
    }

    fn take_propagation(&mut self, option: &str) -> bool {
        if let Some(flag) = propagation(option) {
            self.propagation.push((flag, false));
        } else if let Some(flag) = option.strip_prefix('r').and_then(propagation) {
            self.propagation.push((flag, true));
        } else {
            return false;
        }
        true
    }
}

/// (set, clear) bits of a per-mount attribute word. Times are one field: any of them clears the whole of it.
fn attribute(word: &str) -> Option<(u64, u64)> {
    Some(match word {
        "ro" => (attr::RDONLY, 0),
        "rw" => (0, attr::RDONLY),
        "nosuid" => (attr::NOSUID, 0),
        "suid" => (0, attr::NOSUID),
        "nodev" => (attr::NODEV, 0),
        "dev" => (0, attr::NODEV),
        "noexec" => (attr::NOEXEC, 0),
        "exec" => (0, attr::NOEXEC),
        "nodiratime" => (attr::NODIRATIME, 0),
        "diratime" => (0, attr::NODIRATIME),
        "nosymfollow" => (attr::NOSYMFOLLOW, 0),
        "symfollow" => (0, attr::NOSYMFOLLOW),
        "noatime" => (attr::NOATIME, attr::ATIME_MASK & !attr::NOATIME),
        "strictatime" => (attr::STRICTATIME, attr::ATIME_MASK & !attr::STRICTATIME),
        "relatime" | "atime" | "nostrictatime" => (0, attr::ATIME_MASK),
        "norelatime" => (0, attr::ATIME_MASK),
        _ => return None,
    })
}

/// `MS_*` flag of a propagation word.
pub(crate) fn propagation(word: &str) -> Option<u64> {
    Some(match word {
        "private" => libc::MS_PRIVATE,
        "shared" => libc::MS_SHARED,
        "slave" => libc::MS_SLAVE,
        "unbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_land_where_the_kernel_wants_them() {
        let options = Options::parse(&[
            "nosuid",
            "noexec",
            "nodev",
            "mode=755",
            "size=65536k",
            "strictatime",
        ]);
        assert_eq!(
            options.set,
            attr::NOSUID | attr::NOEXEC | attr::NODEV | attr::STRICTATIME
        );
        assert_eq!(options.clear, attr::ATIME_MASK & !attr::STRICTATIME);
        let data: Vec<_> = options
            .data
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_deref()))
            .collect();
        assert_eq!(data, [("mode", Some("755")), ("size", Some("65536k"))]);
    }

    #[test]
    fn recursive_words_are_kept_apart() {
        let options = Options::parse(&["rbind", "rro", "rprivate", "rw"]);
        assert_eq!(options.bind, Some(Bind::Tree));
        assert_eq!(
            (options.set_recursive, options.clear),
            (attr::RDONLY, attr::RDONLY)
        );
        assert_eq!(options.propagation, [(libc::MS_PRIVATE, true)]);
    }

    #[test]
    fn the_last_word_wins() {
        assert!(!Options::parse(&["ro", "rw"]).read_only());
        assert!(Options::parse(&["rw", "ro"]).read_only());
        let times = Options::parse(&["noatime", "relatime"]);
        assert_eq!((times.set, times.clear), (0, attr::ATIME_MASK));
    }
}
