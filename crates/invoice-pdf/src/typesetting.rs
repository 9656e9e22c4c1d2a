//! Pages: a template, its data, and the fonts, without access to files or the network.

use std::sync::OnceLock;

use typst::{
    Library, LibraryExt, World,
    diag::{FileError, FileResult, SourceDiagnostic},
    foundations::{Bytes, Datetime, Duration, Smart},
    syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot},
    text::{Font, FontBook},
    utils::LazyHash,
};
use typst_layout::PagedDocument;
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards, Timestamp};

use crate::{RenderError, document::Document, printable::Repertoire, sheet::Sheet};

const TEMPLATE: &str = include_str!("invoice.typ");

/// By precedence.
const FONTS: [&[u8]; 10] = [
    include_bytes!("../fonts/Inter-Regular.otf"),
    include_bytes!("../fonts/Inter-SemiBold.otf"),
    include_bytes!("../fonts/NotoSansArabic-Regular.ttf"),
    include_bytes!("../fonts/NotoSansHebrew-Regular.ttf"),
    include_bytes!("../fonts/NotoSansThai-Regular.ttf"),
    include_bytes!("../fonts/NotoSansArmenian-Regular.ttf"),
    include_bytes!("../fonts/NotoSansGeorgian-Regular.ttf"),
    include_bytes!("../fonts/NotoSansDevanagari-Regular.ttf"),
    include_bytes!("../fonts/DroidSansFallbackFull.ttf"),
    include_bytes!("../fonts/NanumGothicCoding.ttf"),
];

/// What all documents share.
struct Shared {
    library: LazyHash<Library>,
    book: LazyHash<FontBook>,
    fonts: Vec<Font>,
    template: Source,
    data: FileId,
    logo: FileId,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let fonts: Vec<Font> = FONTS.iter().flat_map(|font| Font::iter(Bytes::new(*font))).collect();
        Shared {
            library: LazyHash::new(Library::default()),
            book: LazyHash::new(FontBook::from_fonts(&fonts)),
            fonts,
            template: Source::new(file("invoice.typ"), TEMPLATE.to_owned()),
            data: file("document.json"),
            logo: file("logo"),
        }
    })
}

fn file(name: &str) -> FileId {
    let path = VirtualPath::new(name).unwrap_or_else(|_| unreachable!("{name} is a path"));
    RootedPath::new(VirtualRoot::Project, path).intern()
}

/// The fonts, by precedence.
#[cfg(test)]
pub(crate) fn fonts() -> &'static [Font] {
    &shared().fonts
}

/// What the template of one document sees.
struct Desk {
    shared: &'static Shared,
    data: Bytes,
    logo: Option<Bytes>,
}

impl World for Desk {
    fn library(&self) -> &LazyHash<Library> {
        &self.shared.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &self.shared.book
    }

    fn main(&self) -> FileId {
        self.shared.template.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main() { Ok(self.shared.template.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let logo = self.logo.as_ref().filter(|_| id == self.shared.logo);
        let data = (id == self.shared.data).then_some(&self.data);
        logo.or(data).cloned().ok_or(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        self.shared.fonts.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

/// The pages as PDF/A-3b. A logo that cannot be shown is left out: a damaged picture holds up no invoice.
pub(crate) fn pages(sheet: &Sheet, document: &Document) -> Result<Vec<u8>, RenderError> {
    let logo = document.logo.as_ref().map(|logo| Bytes::new(logo.clone()));
    let mut failure = String::new();
    for logo in logo.map(Some).into_iter().chain([None]) {
        for repertoire in Repertoire::ALL {
            match attempt(sheet, document, logo.clone(), repertoire) {
                Ok(pdf) => return Ok(pdf),
                Err(reason) => failure = reason,
            }
        }
    }
    Err(RenderError::Layout(failure))
}

fn attempt(sheet: &Sheet, document: &Document, logo: Option<Bytes>, repertoire: Repertoire) -> Result<Vec<u8>, String> {
    let shared = shared();
    let mut data = serde_json::to_value(sheet).map_err(|error| error.to_string())?;
    data["has_logo"] = logo.is_some().into();
    replace(&mut data, &|text| repertoire.printable(text, &shared.fonts));
    let desk = Desk { shared, data: Bytes::from_string(data.to_string()), logo };
    let pages = typst::compile::<PagedDocument>(&desk).output;
    let pdf = pages.and_then(|pages| typst_pdf::pdf(&pages, &options(document)));
    // Nothing of a document is needed for another one.
    typst::comemo::evict(0);
    pdf.map_err(|errors| errors.iter().map(explained).collect::<Vec<_>>().join("; "))
}

fn explained(error: &SourceDiagnostic) -> String {
    error.message.to_string()
}

/// Replaces all texts, but no names of members.
fn replace(value: &mut serde_json::Value, by: &dyn Fn(&str) -> String) {
    match value {
        serde_json::Value::String(text) => *text = by(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| replace(item, by)),
        serde_json::Value::Object(members) => members.values_mut().for_each(|member| replace(member, by)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

fn options(document: &Document) -> PdfOptions {
    let date = document.issued.issue_date;
    let parts = (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs());
    let noon = Datetime::from_ymd_hms(parts.0, parts.1, parts.2, 12, 0, 0);
    PdfOptions {
        ident: Smart::Custom(format!("{} {}", document.issued.seller.vat_id, document.issued.number)),
        creator: Smart::Custom(Some("PortTask".to_owned())),
        timestamp: noon.map(Timestamp::new_utc),
        standards: PdfStandards::new(&[PdfStandard::A_3b])
            .unwrap_or_else(|_| unreachable!("one standard contradicts none")),
        ..PdfOptions::default()
    }
}
