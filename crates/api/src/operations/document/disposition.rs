//! File names in `Content-Disposition` (RFC 6266).

use axum::http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the `attr-char` of RFC 8187.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The name of the file that a client sends.
pub(super) fn name_in(headers: &HeaderMap) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(header::CONTENT_DISPOSITION)?.as_bytes()).into_owned();
    let parameter = |name: &str| {
        let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
        parameters
            .into_iter()
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let extended = parameter("filename*").and_then(|value| {
        let (charset, rest) = value.split_once('\'')?;
        let encoded = rest.split_once('\'')?.1;
        let is_utf8 = charset.eq_ignore_ascii_case("utf-8");
        is_utf8.then(|| percent_decode_str(encoded).decode_utf8_lossy().into_owned())
    });
    extended.or_else(|| parameter("filename").map(|value| value.trim_matches('"').replace('\\', "")))
}

/// Saves a file under its name: in ASCII for old clients, and in UTF-8.
pub(super) fn attachment(name: &str) -> HeaderValue {
    let is_plain =
        |character: &char| character.is_ascii_graphic() && !matches!(character, '"' | '\\' | '%') || *character == ' ';
    let plain: String = name.chars().map(|it| if is_plain(&it) { it } else { '_' }).collect();
    let encoded = utf8_percent_encode(name, ENCODED);
    let value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_both_parameters() {
        for (sent, name) in [
            ("attachment; filename=crew.pdf", Some("crew.pdf")),
            ("form-data; name=\"file\"; filename=\"crew list.pdf\"", Some("crew list.pdf")),
            ("attachment; filename=\"x\"; filename*=UTF-8''%E2%82%AC%20rates.pdf", Some("€ rates.pdf")),
            ("attachment; FILENAME*=utf-8'en'a%2Fb", Some("a/b")),
            ("attachment; filename*=latin1''%E9; filename=e", Some("e")),
            ("attachment", None),
        ] {
            let headers = [(header::CONTENT_DISPOSITION, HeaderValue::from_static(sent))].into_iter().collect();
            assert_eq!(name_in(&headers).as_deref(), name, "{sent}");
        }
        assert_eq!(name_in(&HeaderMap::new()), None);
    }

    #[test]
    fn names_are_written_for_old_and_new_clients() {
        let value = attachment("Crew \"€\" 1%.pdf");
        assert_eq!(
            value,
            "attachment; filename=\"Crew ___ 1_.pdf\"; filename*=UTF-8''Crew%20%22%E2%82%AC%22%201%25.pdf"
        );
    }
}
