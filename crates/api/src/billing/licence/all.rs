//! The licences of all organizations.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use porttask_domain::{
    OrganizationId, Personal, TextEnum,
    billing::licence::{Kind, Status},
    compliance::export::{Command, Event, Format, LicenceSelection},
};
use porttask_projections::{
    Change, ColumnType, EventOf, Index, ReadModel, Recorded,
    billing::licence::{Licence, Licences},
};
use porttask_runtime::views::Condition;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{bodies::LicenceResponse, conditions};
use crate::billing::all::names_of;
use crate::http::{
    app::App,
    listing::{Page, Sort},
    permissions::AdministerBilling,
    problem::Problem,
    request::{Exported, Instant, List, ListFormat, ListParameters, Listed},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_all_licences))
}

/// The same read model as [`Licences`], listed for all organizations.
pub(crate) struct AllLicences;

impl ReadModel for AllLicences {
    const NAME: &'static str = Licences::NAME;
    const VERSION: u32 = Licences::VERSION;
    const INDEXES: &'static [Index] = Licences::INDEXES;
    const CROSS_PARTITION_INDEXES: &'static [Index] = Licences::CROSS_PARTITION_INDEXES;
    type Source = <Licences as ReadModel>::Source;
    type Row = Licence;

    fn project(row: Option<Licence>, event: EventOf<'_, Self>, recorded: &Recorded) -> Change<Licence> {
        Licences::project(row, event, recorded)
    }
}

/// A licence, with the name of its organization.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundLicence {
    #[serde(flatten)]
    licence: LicenceResponse,
    #[schema(example = "Acme Ports")]
    organization_name: Option<String>,
}

impl From<Licence> for FoundLicence {
    fn from(row: Licence) -> Self {
        Self { licence: row.into(), organization_name: None }
    }
}

/// A page of licences of any organizations.
type FoundLicencePage = Page<FoundLicence>;

/// Filters of the licences of all organizations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllLicencesFilter {
    /// Only licences of this kind.
    kind: Option<Kind>,
    /// Only licences with this status.
    status: Option<Status>,
    /// Only licences that expire before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    expires_before: Option<Instant>,
    /// `json` (default) is in pages; `csv` contains all rows, without `limit`, `cursor` and `count`. That they were exported
    /// is recorded in the audit log.
    #[serde(default)]
    format: ListFormat,
}

impl Listed for AllLicences {
    type Item = FoundLicence;
    type Filter = AllLicencesFilter;
    const SORTS: &'static [Sort] = &[
        ("-created_at", &["created_at", "organization", "licence"]),
        ("expires_at", &["expires_at", "organization", "licence"]),
    ];
    const IS_OF_THE_PLATFORM: bool = true;

    fn conditions(filter: AllLicencesFilter) -> Result<Vec<Condition>, Problem> {
        let AllLicencesFilter { kind, status, expires_before, format: _ } = filter;
        let before = expires_before.map(|before| Condition::Below("expires_at", before.0.to_value()));
        Ok(conditions(kind, status).into_iter().chain(before).collect())
    }

    async fn complete(app: &App, _: OrganizationId, items: Vec<FoundLicence>) -> Result<Vec<FoundLicence>, Problem> {
        let (now, mut completed) = (app.clock.now(), Vec::with_capacity(items.len()));
        let names = names_of(app, items.iter().map(|item| item.licence.organization)).await?;
        for FoundLicence { licence, .. } in items {
            let organization = licence.organization;
            let organization_name = names.get(&organization).cloned().flatten();
            completed.push(FoundLicence { licence: licence.at(now), organization_name });
        }
        Ok(completed)
    }
}

impl Exported for AllLicences {
    const FILE: &'static str = "licences";
    const NAMES: &'static [&'static str] = &[
        "id",
        "organization",
        "organization_name",
        "kind",
        "status",
        "expired",
        "not_before",
        "expires_at",
        "used_activations",
        "max_activations",
        "features",
        "reseller",
        "created_at",
    ];

    fn format(filter: &AllLicencesFilter) -> ListFormat {
        filter.format
    }

    fn recorded(filter: &AllLicencesFilter, _: Option<Personal>) -> Command {
        let AllLicencesFilter { kind, status, ref expires_before, format: _ } = *filter;
        let expires_before: Option<Timestamp> = expires_before.as_ref().map(|before| before.0);
        Command::Take(Event::LicencesTaken {
            format: Format::Csv,
            selection: LicenceSelection { kind, status, expires_before },
        })
    }

    fn fields(FoundLicence { licence, organization_name }: FoundLicence) -> Vec<String> {
        let features: Vec<&str> = licence.features.iter().map(TextEnum::as_str).collect();
        vec![
            licence.id().to_string(),
            licence.organization.to_string(),
            organization_name.unwrap_or_default(),
            licence.kind.as_str().to_owned(),
            licence.status.as_str().to_owned(),
            licence.expired.to_string(),
            licence.not_before.to_string(),
            licence.expires_at.to_string(),
            licence.used_activations.to_string(),
            licence.max_activations.to_string(),
            features.join(" "),
            licence.reseller.unwrap_or_default(),
            licence.created_at.to_string(),
        ]
    }
}

/// List the licences of all organizations.
///
/// Needs `billing:administer`.
#[utoipa::path(get, path = "/v1/platform/billing/licences", tag = "licences", params(ListParameters<AllLicences>),
    responses((status = 200, description = "The licences", content(
        (FoundLicencePage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn list_all_licences(
    State(app): State<App>,
    licences: List<AdministerBilling, AllLicences>,
) -> Result<Response, Problem> {
    licences.answer(&app).await
}
