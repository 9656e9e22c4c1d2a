//! Preconditions on versions: `If-Match` (RFC 9110, section 13.1.1).

use axum::http::{HeaderMap, header};
use porttask_runtime::log::{StreamId, Version};

use crate::http::{app::App, problem::Problem};

/// The versions of which one must be the current one. `If-Match` compares strongly: weak tags, and tags that are not
/// versions, match nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntityTags(Vec<Version>);

impl EntityTags {
    /// The tags of a request; `None` if it has no condition or `*`: what does not exist cannot be changed anyway.
    ///
    /// # Errors
    /// If the header is not a list of entity tags.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let lines: Option<Vec<&str>> =
            headers.get_all(header::IF_MATCH).iter().map(|line| line.to_str().ok()).collect();
        let lines = lines.filter(|lines| !lines.is_empty() || !headers.contains_key(header::IF_MATCH));
        let wrong = || Problem::invalid("If-Match", "must be the ETag of the version you read, such as \"3\"");
        let lines = lines.ok_or_else(wrong)?;
        if lines.is_empty() || lines.iter().any(|line| line.trim() == "*") {
            return Ok(None);
        }
        parse(&lines.join(",")).map(|versions| Some(Self(versions))).ok_or_else(wrong)
    }

    /// Rejects a version of what is only created: it has none yet.
    ///
    /// # Errors
    /// If the header is not a list of entity tags, or names versions.
    pub(crate) fn refuse(headers: &HeaderMap) -> Result<(), Problem> {
        Self::of(headers)?.map_or(Ok(()), |_| Err(Problem::outdated()))
    }

    /// Whether it is one of them.
    pub(crate) fn contains(&self, version: Version) -> bool {
        self.0.contains(&version)
    }

    /// The version to require of a stream: the current one, if it is among several tags.
    ///
    /// # Errors
    /// If no tag can match, or the log fails.
    pub(crate) async fn version(&self, app: &App, subject: &StreamId) -> Result<Version, Problem> {
        match self.0.as_slice() {
            [] => Err(Problem::outdated()),
            [version] => Ok(*version),
            several => {
                let versions = app.database.versions(std::slice::from_ref(subject)).await;
                let versions = versions.map_err(|error| Problem::unavailable(&error))?;
                versions.into_iter().find(|version| several.contains(version)).ok_or_else(Problem::outdated)
            }
        }
    }
}

/// Whether the client has this content already.
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag)
}

/// The versions of a list of tags, which must have at least one tag.
fn parse(mut list: &str) -> Option<Vec<Version>> {
    let (mut versions, mut count) = (Vec::new(), 0);
    loop {
        list = list.trim_start_matches([' ', '\t', ',']);
        if list.is_empty() {
            return (count > 0).then_some(versions);
        }
        let (is_weak, rest) = list.strip_prefix("W/").map_or((false, list), |rest| (true, rest));
        let (tag, rest) = rest.strip_prefix('"')?.split_once('"')?;
        list = rest.trim_start_matches([' ', '\t']);
        if !list.is_empty() && !list.starts_with(',') {
            return None;
        }
        count += 1;
        versions.extend(tag.parse().ok().filter(|_| !is_weak).map(Version));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags_are_read() {
        for (list, expected) in [
            ("\"1\"", Some(vec![1])),
            ("\"1\", \"2\",\"3\"", Some(vec![1, 2, 3])),
            (", \"1\" ,, \"2\",", Some(vec![1, 2])),
            ("W/\"1\"", Some(vec![])),
            ("W/\"1\", \"2\"", Some(vec![2])),
            ("\"a, b\", \"2\"", Some(vec![2])),
            ("1", None),
            ("\"1", None),
            ("\"1\" \"2\"", None),
            (",", None),
        ] {
            let versions = expected.map(|all| all.into_iter().map(Version).collect::<Vec<_>>());
            assert_eq!(parse(list), versions, "{list}");
        }
    }
}
