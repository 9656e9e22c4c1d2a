//! How many invitations an organization may send per day, where it differs from the operator's default.

use serde::{Deserialize, Serialize};

use super::settings::InvalidSetting;
use crate::merge_patch::nullable;

/// The quota of an organization: `None` is the operator's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitationQuota {
    /// Maximum invitations per day, without those of imports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
    /// Maximum invitations of imports per day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imports_per_day: Option<u32>,
}

/// A change of the quota: a JSON merge patch (RFC 7396). Null restores the operator's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InvitationQuotaPatch {
    /// Maximum invitations per day, without those of imports.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>, minimum = 1, maximum = 100_000, example = 2_000))]
    pub per_day: Option<Option<u32>>,
    /// Maximum invitations of imports per day.
    #[serde(default, deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<u32>, minimum = 1, maximum = 100_000, example = 20_000))]
    pub imports_per_day: Option<Option<u32>>,
}

impl InvitationQuotaPatch {
    /// The highest quota.
    pub const HIGHEST: u32 = 100_000;

    /// The changed quota.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn apply(&self, quota: InvitationQuota) -> Result<InvitationQuota, InvalidSetting> {
        for (field, number) in [("per_day", self.per_day), ("imports_per_day", self.imports_per_day)] {
            if number.flatten().is_some_and(|number| number == 0 || number > Self::HIGHEST) {
                return Err(InvalidSetting::new(field, format!("must be 1 to {}, or null", Self::HIGHEST)));
            }
        }
        Ok(InvitationQuota {
            per_day: self.per_day.unwrap_or(quota.per_day),
            imports_per_day: self.imports_per_day.unwrap_or(quota.imports_per_day),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_changes_member_by_member_within_its_range() {
        let quota = InvitationQuota { per_day: Some(5), imports_per_day: Some(6) };
        let patch = |json: &str| serde_json::from_str::<InvitationQuotaPatch>(json).unwrap().apply(quota);
        assert_eq!(patch("{}"), Ok(quota));
        assert_eq!(patch(r#"{"per_day":7}"#), Ok(InvitationQuota { per_day: Some(7), ..quota }));
        assert_eq!(patch(r#"{"imports_per_day":null}"#), Ok(InvitationQuota { imports_per_day: None, ..quota }));
        for (json, field) in [(r#"{"per_day":0}"#, "per_day"), (r#"{"imports_per_day":100001}"#, "imports_per_day")] {
            assert_eq!(patch(json).unwrap_err().field, field);
        }
    }
}
