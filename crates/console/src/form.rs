//! Submitted forms.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Multipart, Request, multipart::MultipartError},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Map, Value};

use crate::{
    Console,
    api::Problem,
    failure::Failure,
    visit::{Slot, Visit},
};

/// Who the page was rendered for. A form that is sent as somebody else, from another tab, is refused.
pub(crate) const ACTING_AS: &str = "acting_as";
/// The idempotency key that the form was rendered with: submitting it twice has one effect.
pub(crate) const KEY: &str = "key";
/// The version that the form was rendered for, as an ETag.
pub(crate) const VERSION: &str = "version";
/// What a button asks for: `preview`, or `confirm`.
pub(crate) const STEP: &str = "step";

/// A form with a file.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    pub(crate) file: Vec<u8>,
    pub(crate) fields: Fields,
}

impl Upload {
    /// Reads a form with a file to be imported.
    ///
    /// # Errors
    /// If it is no such form, was not sent completely, or the page was opened as somebody else.
    pub(crate) async fn read(visit: &Visit, request: Request) -> Result<Self, Problem> {
        let broken =
            |error: MultipartError| Problem::new(error.status(), "The file was not sent completely, or is too large.");
        let no_form = |_| Problem::new(StatusCode::BAD_REQUEST, "This is no form with a file.");
        let mut parts = Multipart::from_request(request, &visit.console).await.map_err(no_form)?;
        let (mut file, mut pairs) = (Vec::new(), Vec::new());
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            match part.name().unwrap_or_default().to_owned() {
                name if name == "file" => file = part.bytes().await.map_err(broken)?.to_vec(),
                name => pairs.push((name, part.text().await.map_err(broken)?)),
            }
        }
        let fields = Fields(pairs);
        if fields.text(ACTING_AS) != visit.frame.me.id {
            let detail = "The page was opened as somebody else. Nothing was imported.";
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        Ok(Self { file, fields })
    }
}

/// The fields of a submitted form, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a form from its encoded text.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// With these values, as if they were entered.
    pub(crate) fn with<'f>(pairs: impl IntoIterator<Item = (&'f str, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The value of a field, without surrounding space; empty if it is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// The value of a field exactly as it was entered, such as a password.
    pub(crate) fn exact(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The values of a field that may occur several times.
    pub(crate) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// These fields as members of a JSON object; empty ones are left out.
    pub(crate) fn json(&self, names: &[&str]) -> Map<String, Value> {
        let filled = names.iter().filter(|name| !self.text(name).is_empty());
        filled.map(|name| ((*name).to_owned(), Value::from(self.text(name)))).collect()
    }

    /// Whether only the preview is asked for.
    pub(crate) fn is_preview(&self) -> bool {
        self.text(STEP) != "confirm"
    }

    pub(crate) fn version(&self) -> &str {
        self.text(VERSION)
    }

    pub(crate) fn key(&self) -> &str {
        self.text(KEY)
    }
}

/// A download of the API's answer: it is saved, and nothing in it is executed.
pub(crate) fn attachment(mut response: Response, name: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    headers.insert("content-security-policy", HeaderValue::from_static("sandbox; default-src 'none'"));
    response
}

impl FromRequest<Console> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &Console) -> Result<Self, Failure> {
        let slot = request.extensions().get::<Slot>().cloned().unwrap_or_default();
        let bytes = to_bytes(request.into_body(), usize::MAX).await;
        let bytes = bytes.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "The form was not sent completely."))?;
        let fields = Self::parse(&bytes);
        let (sent_as, frame) = (fields.text(ACTING_AS), slot.0.get());
        if let Some(frame) = frame.filter(|frame| !sent_as.is_empty() && frame.me.id != sent_as) {
            let name = frame.me.name.as_deref().unwrap_or("somebody else");
            let detail = format!(
                "The page was opened as somebody else: you act as {name} now, in another tab. Nothing was changed. Open \
                 the page again."
            );
            return Err(Problem::new(StatusCode::CONFLICT, detail).into());
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_fields_are_left_out_of_a_body() {
        let fields = Fields::parse(b"name=+Ana+&email=&role=agent&scope=a&scope=b");
        assert_eq!(
            Value::Object(fields.json(&["name", "email", "role", "missing"])),
            json!({"name": "Ana", "role": "agent"})
        );
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["a", "b"]);
        assert!(fields.is_preview());
    }
}
