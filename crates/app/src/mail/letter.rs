//! The text of a mail, written once and rendered twice: as plain text and as HTML.

/// The text of a mail.
#[derive(Debug, PartialEq, Eq)]
pub struct Letter {
    /// The subject line.
    pub subject: String,
    /// Its paragraphs, in order.
    pub paragraphs: Vec<Paragraph>,
}

/// A part of a mail.
#[derive(Debug, PartialEq, Eq)]
pub enum Paragraph {
    /// A paragraph of text.
    Text(String),
    /// A link.
    Link {
        /// Its label.
        label: &'static str,
        /// Its URL.
        address: String,
    },
    /// A text to be copied, on a line of its own.
    Code(String),
}

impl Letter {
    /// Renders plain text: a link is its URL, and a code is itself, in its own paragraph.
    pub fn text(&self) -> String {
        let paragraphs = self.paragraphs.iter().map(|paragraph| match paragraph {
            Paragraph::Text(text) | Paragraph::Code(text) => text.as_str(),
            Paragraph::Link { address, .. } => address.as_str(),
        });
        paragraphs.collect::<Vec<_>>().join("\n\n") + "\n"
    }

    /// Renders an HTML page without external resources; `language` is a BCP 47 tag. All texts are escaped.
    pub fn html(&self, language: &str) -> String {
        let paragraphs = self.paragraphs.iter().map(|paragraph| match paragraph {
            Paragraph::Text(text) => format!("<p>{}</p>\n", escaped(text).replace('\n', "<br>\n")),
            Paragraph::Code(code) => {
                format!("<p><code style=\"overflow-wrap: anywhere\">{}</code></p>\n", escaped(code))
            }
            Paragraph::Link { label, address } => {
                let (label, address) = (escaped(label), escaped(address));
                format!(
                    "<p><a href=\"{address}\" style=\"display: inline-block; padding: 0.6em 1.2em; border: 1px solid; \
                     border-radius: 0.4em\">{label}</a></p>\n\
                     <p style=\"font-size: 0.8em; overflow-wrap: anywhere\">{address}</p>\n"
                )
            }
        });
        format!(
            "<!doctype html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{subject}</title>\n</head>\n\
             <body style=\"font-family: sans-serif; line-height: 1.5; max-width: 36em; margin: 2em auto; padding: 0 1em\">\n\
             {paragraphs}</body>\n</html>\n",
            language = escaped(language),
            subject = escaped(&self.subject),
            paragraphs = paragraphs.collect::<String>(),
        )
    }
}

/// Escapes a text for HTML, in content and in attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(text: &str) -> Letter {
        let link = Paragraph::Link { label: "Open it", address: "https://a.example/x#token=AA".to_owned() };
        let code = Paragraph::Code("AA<".to_owned());
        Letter { subject: text.to_owned(), paragraphs: vec![Paragraph::Text(text.to_owned()), link, code] }
    }

    #[test]
    fn a_letter_is_rendered_as_text() {
        assert_eq!(letter("Hello <b>,\nthere").text(), "Hello <b>,\nthere\n\nhttps://a.example/x#token=AA\n\nAA<\n");
    }

    #[test]
    fn texts_are_escaped_in_html() {
        let html = letter("</title><script>\"x\" & 'y'</script>").html("en");
        assert!(!html.contains("<script>") && html.matches("</title>").count() == 1, "{html}");
        assert!(
            html.contains("<p>&lt;/title&gt;&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39;&lt;/script&gt;</p>"),
            "{html}"
        );
        assert!(html.contains("<a href=\"https://a.example/x#token=AA\"") && html.contains(">Open it</a>"), "{html}");
        assert!(html.contains(">AA&lt;</code></p>\n"), "{html}");
        assert!(!html.contains("src=") && !html.contains("http-equiv"), "it loads nothing: {html}");
    }
}
