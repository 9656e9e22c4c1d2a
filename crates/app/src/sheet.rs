//! CSV files as spreadsheets write them: encoding, delimiter, quotation marks, header. What the lines mean is up to who reads
//! them.
//!
//! The parser of the `csv` crate tolerates misplaced quotation marks and misreads what was meant. Here such a line is
//! rejected, and reading continues at the next one.

use std::{fmt, io::Cursor};

use csv::{ByteRecord, Position, ReaderBuilder};
use serde::{Deserialize, Serialize};

/// Maximum characters of an unknown column's name in a message.
const MAX_NAME: usize = 50;
/// The maximum length of a line.
const MAX_LINE_BYTES: usize = 16 * 1024;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
const UTF16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
const DELIMITERS: [u8; 3] = *b",;\t";

/// The columns of a kind of file.
pub trait Columns: Copy + Eq + fmt::Debug + Send + Sync + 'static {
    /// All columns.
    const ALL: &'static [Self];
    /// The columns that every file has.
    const REQUIRED: &'static [Self];
    /// Maximum lines of a file, without its header.
    const MAX_LINES: usize;

    /// Its name in the header.
    fn name(self) -> &'static str;

    /// The column with this heading, in lower case and without spacing and punctuation: its name or a synonym.
    fn synonym(heading: &str) -> Option<Self>;
}

/// What happens to columns of the file that are unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownColumns {
    /// The file is rejected.
    #[default]
    Reject,
    /// They are skipped.
    Skip,
}

/// Why a file cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is empty.
    #[error("the file is empty: its first line must name the columns, such as {0}")]
    Empty(String),
    /// It is not UTF-8 text.
    #[error("line {line} is not UTF-8{looks_like}: save the file as CSV in UTF-8")]
    Encoding {
        /// The first invalid line.
        line: u64,
        /// The likely encoding, as part of the message.
        looks_like: &'static str,
    },
    /// The first line names no known column: perhaps there is no header. It is not repeated, because it may have values.
    #[error("the first line names no column: the columns are {0}")]
    NoHeader(String),
    /// The header has unknown columns.
    #[error(
        "the header has unknown columns: {}; rename or remove them, or skip them with unknown_columns=skip. The columns \
         are {columns}",
        .names.join(", ")
    )]
    UnknownColumns {
        /// Their names.
        names: Vec<String>,
        /// The known columns.
        columns: String,
    },
    /// The line `sep=` names no delimiter that is accepted.
    #[error("the line sep= must name a comma, a semicolon or a tab")]
    UnknownDelimiter,
    /// The header repeats a column.
    #[error("the header has the column {0} twice")]
    RepeatedColumn(&'static str),
    /// The header lacks columns.
    #[error("the header lacks {missing}: the columns are {columns}")]
    MissingColumns {
        /// The missing columns.
        missing: String,
        /// All columns.
        columns: String,
    },
    /// The header has misplaced quotation marks, or is too long.
    #[error("the header cannot be read: {0}")]
    Header(&'static str),
    /// It has too many lines.
    #[error("the file has more than {0} lines: split it, and repeat the header in each part")]
    TooManyLines(usize),
}

impl Unreadable {
    /// The message without names from the file.
    pub fn without_names(&self) -> String {
        match self {
            Self::UnknownColumns { .. } => "the header has unknown columns".to_owned(),
            other => other.to_string(),
        }
    }
}

/// A field of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heading<C> {
    /// It names a column.
    Column(C),
    /// It is empty: spreadsheets write such columns.
    Nameless,
    /// It names an unknown column, which is skipped.
    Skipped,
}

/// A comma-separated list of column names.
fn names<C: Columns>(columns: &[C]) -> String {
    columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ")
}

/// The header of a file.
#[derive(Debug, Clone)]
pub struct Header<C>(Vec<Heading<C>>);

impl<C: Columns> Header<C> {
    /// The field of a column, without surrounding space; empty if the file does not have the column.
    pub fn field<'a>(&self, record: &'a ByteRecord, column: C) -> &'a str {
        let index = self.0.iter().position(|it| *it == Heading::Column(column));
        let bytes = index.and_then(|index| record.get(index)).unwrap_or_default();
        // The whole file was validated as UTF-8.
        std::str::from_utf8(bytes).unwrap_or_default().trim()
    }

    /// Whether a record has a field for each named column, and no value elsewhere: spreadsheets write empty fields there,
    /// or none.
    ///
    /// # Errors
    /// What is wrong.
    pub fn fits(&self, record: &ByteRecord) -> Result<(), String> {
        let headings = &self.0;
        let is_filled =
            |index: usize| record.get(index).is_some_and(|field| !field.iter().all(u8::is_ascii_whitespace));
        let last = headings.iter().rposition(|heading| matches!(heading, Heading::Column(_)));
        let (fields, wanted, needed) = (record.len(), headings.len(), last.map_or(0, |last| last + 1));
        if fields < needed || (wanted..fields).any(is_filled) {
            return Err(format!("has {fields} fields, but the header has {wanted}"));
        }
        let nameless = (0..wanted).find(|index| headings[*index] == Heading::Nameless && is_filled(*index));
        nameless.map_or(Ok(()), |index| {
            Err(format!("has a value in column {}, which has no name in the header", index + 1))
        })
    }
}

/// The column with this heading, in any case, spacing and punctuation: its name or a synonym.
fn headed<C: Columns>(heading: &str) -> Option<C> {
    let heading: String = heading.to_lowercase().chars().filter(|it| it.is_alphanumeric()).collect();
    let is_named = |column: &&C| column.name().chars().filter(|it| *it != '_').eq(heading.chars());
    C::synonym(&heading).or_else(|| C::ALL.iter().find(is_named).copied())
}

/// The records after the header, and the header.
///
/// # Errors
/// If the file cannot be read at all.
pub fn open<C: Columns>(bytes: &[u8], unknown: UnknownColumns) -> Result<(Records<'_>, Header<C>), Unreadable> {
    let text = text(bytes)?;
    let mut records = match separator(text)? {
        Some((delimiter, length)) => Records::new(text, delimiter, length),
        None => Records::new(text, delimiter(text), 0),
    };
    let Some((_, header)) = records.next() else { return Err(Unreadable::Empty(names(C::REQUIRED))) };
    let headings = headings(&header.map_err(Unreadable::Header)?, unknown)?;
    Ok((records, Header(headings)))
}

/// The number of lines of a file.
///
/// # Errors
/// If the file cannot be read at all.
pub fn count<C: Columns>(bytes: &[u8], unknown: UnknownColumns) -> Result<u64, Unreadable> {
    let (records, _) = open::<C>(bytes, unknown)?;
    let count = records.take(C::MAX_LINES + 1).count();
    if count > C::MAX_LINES { Err(Unreadable::TooManyLines(C::MAX_LINES)) } else { Ok(count as u64) }
}

/// The delimiter that a first line such as `sep=;` names for Excel, and the length of that line.
fn separator(text: &[u8]) -> Result<Option<(u8, usize)>, Unreadable> {
    let length = text.iter().position(|byte| is_line_end(&byte)).unwrap_or(text.len());
    let line = text[..length].strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(&text[..length]);
    let named = line.split_at_checked(4).filter(|(name, _)| name.eq_ignore_ascii_case(b"sep="));
    let Some((_, delimiter)) = named else { return Ok(None) };
    match delimiter {
        [delimiter] if DELIMITERS.contains(delimiter) => Ok(Some((*delimiter, length))),
        _ => Err(Unreadable::UnknownDelimiter),
    }
}

/// Validates the bytes as UTF-8 and strips a byte order mark.
fn text(bytes: &[u8]) -> Result<&[u8], Unreadable> {
    if UTF16_BOMS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(Unreadable::Encoding { line: 1, looks_like: " but UTF-16" });
    }
    let bytes = bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes);
    let until = match std::str::from_utf8(bytes) {
        // UTF-16 of ASCII letters without a mark is also valid UTF-8, with a NUL next to each letter.
        Ok(text) => match text.bytes().position(|byte| byte == 0) {
            None => return Ok(bytes),
            Some(null) => return Err(Unreadable::Encoding { line: line_at(bytes, null), looks_like: " text" }),
        },
        Err(error) => error.valid_up_to(),
    };
    let looks_like = if bytes[..until].contains(&0) { " but possibly UTF-16" } else { " but possibly Latin-1" };
    Err(Unreadable::Encoding { line: line_at(bytes, until), looks_like })
}

fn line_at(bytes: &[u8], offset: usize) -> u64 {
    1 + line_ends(&bytes[..offset])
}

/// The number of line ends: LF, CR or CRLF.
fn line_ends(bytes: &[u8]) -> u64 {
    let is_end = |(index, byte): (usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(index + 1) != Some(&b'\n'),
        _ => false,
    };
    bytes.iter().enumerate().filter(|it| is_end(*it)).count() as u64
}

/// The fields of the header.
fn headings<C: Columns>(header: &ByteRecord, unknown: UnknownColumns) -> Result<Vec<Heading<C>>, Unreadable> {
    let mut headings = Vec::with_capacity(header.len());
    let mut unknown_names = Vec::new();
    for field in header {
        let name = String::from_utf8_lossy(field);
        let heading = match headed::<C>(&name) {
            Some(column) if headings.contains(&Heading::Column(column)) => {
                return Err(Unreadable::RepeatedColumn(column.name()));
            }
            Some(column) => Heading::Column(column),
            None if name.trim().is_empty() => Heading::Nameless,
            None => {
                unknown_names.push(format!("{:?}", name.trim().chars().take(MAX_NAME).collect::<String>()));
                Heading::Skipped
            }
        };
        headings.push(heading);
    }
    let is_known = |column: &C| headings.contains(&Heading::Column(*column));
    if !C::ALL.iter().any(is_known) {
        return Err(Unreadable::NoHeader(names(C::ALL)));
    }
    if unknown == UnknownColumns::Reject && !unknown_names.is_empty() {
        return Err(Unreadable::UnknownColumns { names: unknown_names, columns: names(C::ALL) });
    }
    let missing: Vec<C> = C::REQUIRED.iter().filter(|it| !is_known(it)).copied().collect();
    match missing.is_empty() {
        true => Ok(headings),
        false => Err(Unreadable::MissingColumns { missing: names(&missing), columns: names(C::ALL) }),
    }
}

/// The records of a file, each with the line number at which it starts; blank records are skipped.
///
/// Quotation marks are checked before the reader parses a record: it would read to the end of the file after a
/// misplaced one, for every line again. The check ends at the first fault. It leaves its line only if that has an odd
/// number of quotation marks, and ends at the next line with an odd number, so no line is scanned more than twice.
pub struct Records<'a> {
    text: &'a [u8],
    delimiter: u8,
    reader: csv::Reader<Cursor<&'a [u8]>>,
    /// An offset with a known line number.
    known: (usize, u64),
}

impl<'a> Records<'a> {
    /// The records from an offset on.
    fn new(text: &'a [u8], delimiter: u8, start: usize) -> Self {
        let mut builder = ReaderBuilder::new();
        let reader = builder.delimiter(delimiter).has_headers(false).flexible(true).from_reader(Cursor::new(text));
        let mut records = Self { text, delimiter, reader, known: (0, 1) };
        // Seeking in memory does not fail.
        let _ = records.seek(start);
        records
    }

    /// The line number at an offset. Offsets must not decrease between calls.
    fn line(&mut self, offset: usize) -> u64 {
        let (place, line) = self.known;
        self.known = (offset, line + line_ends(&self.text[place..offset]));
        self.known.1
    }

    /// Continues at the line after the one that starts here.
    fn resume_after(&mut self, start: usize) -> Result<(), csv::Error> {
        let rest = &self.text[start..];
        let length = rest.iter().position(|byte| is_line_end(&byte)).unwrap_or(rest.len());
        self.seek(start + length)
    }

    fn seek(&mut self, offset: usize) -> Result<(), csv::Error> {
        let mut place = Position::new();
        place.set_byte(offset as u64);
        self.reader.seek(place)
    }
}

impl Iterator for Records<'_> {
    type Item = (u64, Result<ByteRecord, &'static str>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = ByteRecord::new();
        loop {
            let before = self.reader.position().byte() as usize;
            let blank = self.text[before..].iter().take_while(is_line_end).count();
            let start = before + blank;
            let length = match well_quoted(&self.text[start..], self.delimiter) {
                Ok(length) => length,
                Err(fault) => {
                    self.resume_after(start).ok()?;
                    return Some((self.line(start), Err(fault)));
                }
            };
            // Reading from memory does not fail, and records of any length are accepted.
            if !self.reader.read_byte_record(&mut record).unwrap_or(false) {
                return None;
            }
            if record.iter().any(|field| !field.iter().all(u8::is_ascii_whitespace)) {
                let record = if length > MAX_LINE_BYTES { Err(TOO_LONG) } else { Ok(record) };
                return Some((self.line(start), record));
            }
        }
    }
}

const TOO_LONG: &str = "the line is longer than 16 KiB";
const NOT_CLOSED: &str = "an opening quotation mark is never closed";
const MISPLACED: &str =
    "a quotation mark is misplaced: quote the whole field, and double the quotation marks inside it";

/// The most frequent delimiter in the header.
fn delimiter(text: &[u8]) -> u8 {
    let header = text.iter().skip_while(is_line_end).take_while(|byte| !is_line_end(byte));
    let mut counts = [0_usize; DELIMITERS.len()];
    for byte in header {
        if let Some(index) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
            counts[index] += 1;
        }
    }
    let most = (0..DELIMITERS.len()).rev().max_by_key(|index| counts[*index]).unwrap_or_default();
    DELIMITERS[most]
}

fn is_line_end(byte: &&u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The length of the record that starts here, or what is wrong with its quotation marks.
fn well_quoted(text: &[u8], delimiter: u8) -> Result<usize, &'static str> {
    enum At {
        Start,
        Plain,
        Quoted,
        Closing,
    }
    let mut at = At::Start;
    for (index, byte) in text.iter().enumerate() {
        at = match (at, *byte) {
            (At::Start | At::Closing, b'"') => At::Quoted,
            (At::Quoted, b'"') => At::Closing,
            (At::Quoted, _) => At::Quoted,
            (_, b'\r' | b'\n') => return Ok(index),
            (_, byte) if byte == delimiter => At::Start,
            (At::Closing, _) | (At::Plain, b'"') => return Err(MISPLACED),
            (At::Start | At::Plain, _) => At::Plain,
        };
    }
    if matches!(at, At::Quoted) { Err(NOT_CLOSED) } else { Ok(text.len()) }
}
