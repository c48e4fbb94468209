//! containerd's filter language, as far as snapshots need it: `kind==active,labels."a.b"~=x`; filters are alternatives.

use crate::contracts::containerd::services::snapshots::v1::{Info, Kind};
use regex_lite::Regex;
use tonic::Status;

const CONDITION: &str =
    r#"^(name|parent|kind|labels\.(?:"[^"]*"|[\w./-]+))(?:(==|!=|~=)("[^"]*"|[^",]+))?(?:,|$)"#;

enum Test {
    Present,
    Equal(String),
    Unequal(String),
    Matches(Regex),
}

struct Condition {
    field: String,
    test: Test,
}

/// What is wanted: all conditions of one of the filters hold, or there is none.
pub struct Filters(Vec<Vec<Condition>>);

impl Filters {
    /// Refuses what cannot be read now, though there be nothing to ask.
    pub fn read(texts: &[String]) -> Result<Self, Status> {
        let all: Result<_, Status> = texts.iter().map(|text| read_one(text)).collect();
        all.map(Self)
    }

    pub fn want(&self, info: &Info) -> bool {
        self.0.is_empty() || self.0.iter().any(|all| all.iter().all(|one| one.holds(info)))
    }
}

fn read_one(text: &str) -> Result<Vec<Condition>, Status> {
    let condition = Regex::new(CONDITION).map_err(|error| Status::internal(error.to_string()))?;
    let mut conditions = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(found) = condition.captures(rest) else {
            return Err(refused(format!("filter {text:?} at {rest:?}")));
        };
        let part = |group| found.get(group).map_or("", |part| part.as_str());
        let (field, operator, value) = (part(1), part(2), part(3).trim_matches('"').to_owned());
        let test = match operator {
            "" => Test::Present,
            "==" => Test::Equal(value),
            "!=" => Test::Unequal(value),
            _ => Test::Matches(Regex::new(&value).map_err(|error| refused(format!("filter: {error}")))?),
        };
        let field = field.to_owned();
        conditions.push(Condition { field, test });
        rest = &rest[part(0).len()..];
    }
    Ok(conditions)
}

fn refused(what: String) -> Status {
    Status::invalid_argument(format!("{what}: invalid argument"))
}

impl Condition {
    fn holds(&self, info: &Info) -> bool {
        let seen = self.value(info);
        match &self.test {
            Test::Present => seen.is_some_and(|value| !value.is_empty()),
            Test::Equal(value) => seen == Some(value),
            Test::Unequal(value) => seen != Some(value),
            Test::Matches(pattern) => seen.is_some_and(|value| pattern.is_match(value)),
        }
    }

    fn value<'a>(&self, info: &'a Info) -> Option<&'a str> {
        match self.field.as_str() {
            "name" => Some(&info.name),
            "parent" => Some(&info.parent),
            "kind" => Some(match info.kind() {
                Kind::Active => "active",
                Kind::View => "view",
                Kind::Committed => "committed",
                Kind::Unknown => "unknown",
            }),
            label => {
                let key = label.trim_start_matches("labels.").trim_matches('"');
                info.labels.get(key).map(String::as_str)
            }
        }
    }
}
