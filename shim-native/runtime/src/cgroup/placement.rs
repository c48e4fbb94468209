//! From `linux.cgroupsPath` and the configuration to a path in the trees.

use crate::error::Error;
use crate::options::{CgroupConfig, CgroupDriver};
use std::path::Path;

/// Where a container's group goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// Path below each hierarchy's mount, with a leading slash.
    pub path: String,
    /// (slice, scope) unit names, with the systemd driver.
    pub unit: Option<(String, String)>,
    /// The default parent, when the path lies below it: nobody asked for it, so it goes with its last group.
    pub shared_parent: Option<String>,
}

/// cgroupfs: an absolute path is taken as it is, a relative one lies under the default parent, none means
/// `<default parent>/<id>`. systemd: `slice:prefix:name`.
pub(super) fn place(config: &CgroupConfig, spec_path: Option<&Path>, id: &str) -> Result<Placement, Error> {
    let given = spec_path
        .map(|path| path.to_string_lossy().into_owned())
        .unwrap_or_default();
    match config.driver {
        CgroupDriver::Cgroupfs => {
            let parent = format!("/{}", config.default_parent.trim_matches('/'));
            let (path, shared_parent) = match given.as_str() {
                absolute if absolute.starts_with('/') => (absolute.to_owned(), None),
                "" => (format!("{parent}/{id}"), Some(parent)),
                relative => (format!("{parent}/{relative}"), Some(parent)),
            };
            let path = format!("/{}", path.trim_matches('/'));
            let climbs = Path::new(&path)
                .components()
                .any(|c| matches!(c, std::path::Component::ParentDir));
            if climbs || path == "/" {
                return Err(Error::spec(
                    "linux.cgroupsPath",
                    format!("{given:?} is not a path below the root"),
                ));
            }
            Ok(Placement {
                path,
                unit: None,
                shared_parent: shared_parent.filter(|parent| parent != "/"),
            })
        }
        CgroupDriver::Systemd => systemd_placement(config, &given, id),
    }
}

fn systemd_placement(config: &CgroupConfig, given: &str, id: &str) -> Result<Placement, Error> {
    let parts: Vec<&str> = if given.is_empty() {
        vec!["", "gantry", id]
    } else {
        given.split(':').collect()
    };
    let [slice, prefix, name] = parts[..] else {
        return Err(Error::spec(
            "linux.cgroupsPath",
            format!("{given:?} is not slice:prefix:name"),
        ));
    };
    let slice = if slice.is_empty() {
        config.default_parent.trim_matches('/')
    } else {
        slice
    };
    let slice = if slice.ends_with(".slice") {
        slice.to_owned()
    } else {
        "system.slice".to_owned()
    };
    let unit = match (prefix, name) {
        (_, slice_name) if slice_name.ends_with(".slice") => slice_name.to_owned(),
        ("", name) => format!("{name}.scope"),
        (prefix, name) => format!("{prefix}-{name}.scope"),
    };
    let path = format!("{}/{unit}", expand_slice(&slice)?);
    Ok(Placement {
        path,
        unit: Some((slice, unit)),
        shared_parent: None,
    })
}

/// `a-b.slice` lies at `/a.slice/a-b.slice` (systemd.slice(5)); `-.slice` is the root.
fn expand_slice(slice: &str) -> Result<String, Error> {
    let stem = slice.strip_suffix(".slice").unwrap_or(slice);
    if stem == "-" {
        return Ok(String::new());
    }
    if stem.is_empty()
        || stem.contains('/')
        || stem.starts_with('-')
        || stem.ends_with('-')
        || stem.contains("--")
    {
        return Err(Error::spec(
            "linux.cgroupsPath",
            format!("{slice:?} is not a slice name"),
        ));
    }
    let mut path = String::new();
    let mut prefix = String::new();
    for part in stem.split('-') {
        prefix.push_str(part);
        path.push_str(&format!("/{prefix}.slice"));
        prefix.push('-');
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: CgroupDriver, parent: &str) -> CgroupConfig {
        CgroupConfig {
            driver,
            default_parent: parent.to_owned(),
        }
    }

    #[test]
    fn cgroupfs_paths() {
        let config = config(CgroupDriver::Cgroupfs, "/gantry");
        let path = |given: &str| place(&config, Some(Path::new(given)), "c1").map(|p| p.path);
        assert_eq!(path("").unwrap(), "/gantry/c1");
        assert_eq!(path("/docker/x").unwrap(), "/docker/x");
        assert_eq!(path("pod/x").unwrap(), "/gantry/pod/x");
        let parent = |given: &str| place(&config, Some(Path::new(given)), "c1").map(|p| p.shared_parent);
        assert_eq!(parent("").unwrap().as_deref(), Some("/gantry"));
        assert_eq!(parent("pod/x").unwrap().as_deref(), Some("/gantry"));
        assert_eq!(parent("/gantry/x").unwrap(), None);
        assert!(path("/a/../../x").is_err());
        assert!(path("/").is_err());
    }

    #[test]
    fn systemd_names() {
        let config = config(CgroupDriver::Systemd, "system.slice");
        let placed = place(&config, Some(Path::new("user-1000.slice:docker:abc")), "abc").unwrap();
        assert_eq!(placed.path, "/user.slice/user-1000.slice/docker-abc.scope");
        assert_eq!(
            placed.unit,
            Some(("user-1000.slice".into(), "docker-abc.scope".into()))
        );
        assert_eq!(
            place(&config, None, "abc").unwrap().path,
            "/system.slice/gantry-abc.scope"
        );
        assert!(place(&config, Some(Path::new("/not/systemd")), "abc").is_err());
    }
}
