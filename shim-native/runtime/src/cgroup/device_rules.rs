//! The device allow-list, independent of the interface that enforces it.

use crate::error::Error;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceClass {
    All,
    Block,
    Character,
}

/// One rule; the last that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceRule {
    pub allow: bool,
    pub class: DeviceClass,
    /// `None` = any.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub read: bool,
    pub write: bool,
    pub mknod: bool,
}

impl DeviceRule {
    /// Whether it is about every access to every device.
    pub(super) fn is_everything(&self) -> bool {
        let all_numbers = self.major.is_none() && self.minor.is_none();
        self.class == DeviceClass::All && all_numbers && self.read && self.write && self.mknod
    }

    /// As devices.allow and devices.deny take it (cgroup-v1/devices).
    pub(super) fn v1_line(&self) -> String {
        if self.is_everything() {
            return "a".to_owned();
        }
        let class = match self.class {
            DeviceClass::All => 'a',
            DeviceClass::Block => 'b',
            DeviceClass::Character => 'c',
        };
        let number = |value: Option<u32>| value.map_or("*".to_owned(), |value| value.to_string());
        let mut line = format!("{class} {}:{} ", number(self.major), number(self.minor));
        line.extend(
            [(self.read, 'r'), (self.write, 'w'), (self.mknod, 'm')]
                .iter()
                .filter(|x| x.0)
                .map(|x| x.1),
        );
        line
    }
}

/// What every container may use whatever its list says: making any node, and the default devices
/// (runtime-spec, config-linux, "Default Devices"), ptmx and pts.
const ALWAYS: [(DeviceClass, Option<u32>, Option<u32>, bool); 10] = [
    (DeviceClass::Character, None, None, false),
    (DeviceClass::Block, None, None, false),
    (DeviceClass::Character, Some(1), Some(3), true),
    (DeviceClass::Character, Some(1), Some(5), true),
    (DeviceClass::Character, Some(1), Some(7), true),
    (DeviceClass::Character, Some(1), Some(8), true),
    (DeviceClass::Character, Some(1), Some(9), true),
    (DeviceClass::Character, Some(5), Some(0), true),
    (DeviceClass::Character, Some(5), Some(2), true),
    (DeviceClass::Character, Some(136), None, true),
];

/// The rules to enforce, in order. `initial`: starts from "deny everything" and ends with what every
/// container may use. Rules before the last one about everything are dropped, as are repeats.
pub(super) fn resolve(rules: &[LinuxDeviceCgroup], initial: bool) -> Result<Vec<DeviceRule>, Error> {
    let mut resolved: Vec<DeviceRule> = Vec::with_capacity(rules.len() + ALWAYS.len() + 1);
    if initial {
        resolved.push(everything(false));
    }
    for rule in rules {
        push(&mut resolved, parse(rule)?);
    }
    let open = resolved
        .first()
        .is_some_and(|first| first.allow && first.is_everything());
    if initial && !open {
        for (class, major, minor, usable) in ALWAYS {
            let rule = DeviceRule {
                allow: true,
                class,
                major,
                minor,
                read: usable,
                write: usable,
                mknod: true,
            };
            push(&mut resolved, rule);
        }
    }
    Ok(resolved)
}

fn push(resolved: &mut Vec<DeviceRule>, rule: DeviceRule) {
    if rule.is_everything() {
        resolved.clear();
    }
    // A repeat adds nothing if nothing was taken away since.
    let since = resolved.iter().rposition(|earlier| *earlier == rule);
    let repeats = since.is_some_and(|at| resolved[at..].iter().all(|later| later.allow == rule.allow));
    if !repeats {
        resolved.push(rule);
    }
}

fn everything(allow: bool) -> DeviceRule {
    DeviceRule {
        allow,
        class: DeviceClass::All,
        major: None,
        minor: None,
        read: true,
        write: true,
        mknod: true,
    }
}

fn parse(rule: &LinuxDeviceCgroup) -> Result<DeviceRule, Error> {
    const FIELD: &str = "linux.resources.devices";
    let class = match rule.typ() {
        None | Some(LinuxDeviceType::A) => DeviceClass::All,
        Some(LinuxDeviceType::B) => DeviceClass::Block,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => DeviceClass::Character,
        Some(LinuxDeviceType::P) => return Err(Error::spec(FIELD, "type p (fifo) is no device")),
    };
    let number = |value: Option<i64>| match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value)
            .map(Some)
            .map_err(|_| Error::spec(FIELD, format!("{value} is not a device number"))),
    };
    let access = rule
        .access()
        .as_deref()
        .filter(|access| !access.is_empty())
        .unwrap_or("rwm");
    if let Some(bad) = access.chars().find(|c| !"rwm".contains(*c)) {
        return Err(Error::spec(
            FIELD,
            format!("access {access:?}: {bad:?} is not one of r, w, m"),
        ));
    }
    let (major, minor) = (number(rule.major())?, number(rule.minor())?);
    let has = |c| access.contains(c);
    let rule = DeviceRule {
        allow: rule.allow(),
        class,
        major,
        minor,
        read: has('r'),
        write: has('w'),
        mknod: has('m'),
    };
    // "a" with numbers left out means everything, in v1's grammar too.
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceCgroupBuilder;

    fn rule(allow: bool, access: &str) -> LinuxDeviceCgroup {
        LinuxDeviceCgroupBuilder::default()
            .allow(allow)
            .access(access)
            .build()
            .unwrap()
    }

    #[test]
    fn an_empty_list_closes_all_but_the_defaults() {
        let lines: Vec<_> = resolve(&[], true)
            .unwrap()
            .iter()
            .map(DeviceRule::v1_line)
            .collect();
        assert_eq!(lines[..4], ["a", "c *:* m", "b *:* m", "c 1:3 rwm"]);
        assert_eq!(lines.len(), 11);
    }

    #[test]
    fn allowing_everything_needs_one_rule() {
        let rules = resolve(&[rule(false, "rwm"), rule(true, "rwm")], true).unwrap();
        assert_eq!(rules, [everything(true)]);
    }

    #[test]
    fn nonsense_is_named() {
        let error = resolve(&[rule(true, "rx")], true).unwrap_err();
        assert!(error.to_string().contains("'x' is not one of r, w, m"), "{error}");
    }
}
