//! What the content of a document is, judged by its first bytes. What clients say about it is not believed.

crate::texts! {
    /// The type of a document's content.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = DocumentContentType))]
    pub enum ContentType {
        /// PDF.
        Pdf = "application/pdf",
        /// PNG image.
        Png = "image/png",
        /// JPEG image.
        Jpeg = "image/jpeg",
        /// WebP image.
        Webp = "image/webp",
        /// Plain text in UTF-8.
        Text = "text/plain",
        /// Comma-separated values in UTF-8.
        Csv = "text/csv",
        /// Word document.
        Docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        /// Excel workbook.
        Xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        /// OpenDocument text.
        Odt = "application/vnd.oasis.opendocument.text",
        /// Anything else.
        Other = "application/octet-stream",
    }
}

/// The first file in an OpenDocument archive, which is not compressed, follows the 30 bytes of its header.
const OPEN_DOCUMENT_TEXT: &[u8] = b"mimetypeapplication/vnd.oasis.opendocument.text";

impl ContentType {
    /// The number of first bytes by which it is recognized.
    pub const SNIFFED_BYTES: usize = 4_096;

    /// The type of a content that starts with these bytes, of a file with this name.
    pub fn sniff(start: &[u8], name: &str) -> Self {
        let start = &start[..start.len().min(Self::SNIFFED_BYTES)];
        match start {
            [b'%', b'P', b'D', b'F', b'-', ..] => Self::Pdf,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::Webp,
            [b'P', b'K', 3, 4, ..] => Self::archive(start),
            _ if is_text(start) => {
                if name.to_lowercase().ends_with(".csv") {
                    Self::Csv
                } else {
                    Self::Text
                }
            }
            _ => Self::Other,
        }
    }

    fn archive(start: &[u8]) -> Self {
        let names = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
        match () {
            () if start.get(30..).is_some_and(|rest| rest.starts_with(OPEN_DOCUMENT_TEXT)) => Self::Odt,
            () if !names(b"[Content_Types].xml") => Self::Other,
            () if names(b"word/") => Self::Docx,
            () if names(b"xl/") => Self::Xlsx,
            () => Self::Other,
        }
    }
}

/// Whether these bytes are UTF-8, up to a character that is cut off, without control characters.
fn is_text(start: &[u8]) -> bool {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|character| !character.is_control() || "\t\n\r\u{c}".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_recognized_by_its_first_bytes() {
        let office =
            |folder: &str| format!("PK\u{3}\u{4}..........................[Content_Types].xml..{folder}/a.xml");
        let open = [b"PK\x03\x04", &[0; 26][..], OPEN_DOCUMENT_TEXT, b"PK"].concat();
        let cut = [&b"caf"[..], &[0xc3]].concat();
        for (start, name, expected) in [
            (&b"%PDF-1.7\n"[..], "a.txt", ContentType::Pdf),
            (b"\x89PNG\r\n\x1a\n....", "a", ContentType::Png),
            (b"\xff\xd8\xff\xe0", "a", ContentType::Jpeg),
            (b"RIFF....WEBPVP8 ", "a", ContentType::Webp),
            (office("word").as_bytes(), "a", ContentType::Docx),
            (office("xl").as_bytes(), "a", ContentType::Xlsx),
            (office("ppt").as_bytes(), "a.docx", ContentType::Other),
            (&open, "a", ContentType::Odt),
            (b"PK\x03\x04 word/", "a.docx", ContentType::Other),
            (b"<html><script>", "a.html", ContentType::Text),
            (b"name,email\n", "Crew.CSV", ContentType::Csv),
            (&cut, "a.txt", ContentType::Text),
            (b"MZ\x90\x00", "a.pdf", ContentType::Other),
            (b"a\x00b", "a.txt", ContentType::Other),
            (b"\xe9t\xe9", "a.txt", ContentType::Other),
            (b"", "a.pdf", ContentType::Other),
        ] {
            assert_eq!(ContentType::sniff(start, name), expected, "{start:?}");
        }
    }
}
