//! From bytes to records: encoding, delimiter, quotation marks, header.
//!
//! The parser of the `csv` crate tolerates misplaced quotation marks and misreads what was meant. Here such a line is
//! rejected, and reading continues at the next one.

use std::{collections::HashMap, fmt, io::Cursor};

use csv::{ByteRecord, Position, ReaderBuilder};
use porttask_domain::identity::Role;

use super::{Column, Fault, Line, UnknownColumns, person::Person};

/// Maximum lines of a file, without its header.
pub const MAX_LINES: usize = 100_000;
/// Maximum characters of an unknown column's name in a message.
const MAX_NAME: usize = 50;
/// The maximum length of a line.
const MAX_LINE_BYTES: usize = 16 * 1024;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
const UTF16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
const DELIMITERS: [u8; 3] = *b",;\t";

/// Why a file cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is empty.
    #[error("the file is empty: its first line must name the columns, such as name,email,role")]
    Empty,
    /// It is not UTF-8 text.
    #[error("line {line} is not UTF-8{looks_like}: save the file as CSV in UTF-8")]
    Encoding {
        /// The first invalid line.
        line: u64,
        /// The likely encoding, as part of the message.
        looks_like: &'static str,
    },
    /// The first line names no known column: perhaps there is no header. It is not repeated, because it may have values.
    #[error("the first line names no column: the columns are {columns}", columns = Names(&Column::ALL))]
    NoHeader,
    /// The header has unknown columns.
    #[error(
        "the header has unknown columns: {}; rename or remove them, or skip them with unknown_columns=skip. The columns \
         are {columns}",
        .0.join(", "), columns = Names(&Column::ALL)
    )]
    UnknownColumns(Vec<String>),
    /// The line `sep=` names no delimiter that is accepted.
    #[error("the line sep= must name a comma, a semicolon or a tab")]
    UnknownDelimiter,
    /// The header repeats a column.
    #[error("the header has the column {0} twice")]
    RepeatedColumn(Column),
    /// The header lacks columns.
    #[error("the header lacks {missing}: the columns are {columns}", missing = Names(.0), columns = Names(&Column::ALL))]
    MissingColumns(Vec<Column>),
    /// The header has misplaced quotation marks, or is too long.
    #[error("the header cannot be read: {0}")]
    Header(&'static str),
    /// It has too many lines.
    #[error("the file has more than {MAX_LINES} lines: split it, and repeat the header in each part")]
    TooManyLines,
}

impl Unreadable {
    /// The message without names from the file.
    pub fn without_names(&self) -> String {
        match self {
            Self::UnknownColumns(_) => "the header has unknown columns".to_owned(),
            other => other.to_string(),
        }
    }
}

/// A field of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heading {
    /// It names a column.
    Column(Column),
    /// It is empty: spreadsheets write such columns.
    Nameless,
    /// It names an unknown column, which is skipped.
    Skipped,
}

/// A comma-separated list of column names.
struct Names<'a>(&'a [Column]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|column| column.name()).collect::<Vec<_>>().join(", "))
    }
}

/// The lines of a file; people without a role get `default_role`.
///
/// # Errors
/// If the file cannot be read at all.
pub fn read(bytes: &[u8], default_role: Role, unknown: UnknownColumns) -> Result<Vec<Line>, Unreadable> {
    let (records, headings) = opened(bytes, unknown)?;
    let mut lines = Vec::new();
    let mut known: HashMap<String, u64> = HashMap::new();
    for (number, record) in records {
        if lines.len() == MAX_LINES {
            return Err(Unreadable::TooManyLines);
        }
        let mut content = match record {
            Err(reason) => Err(vec![Fault::of_line(reason)]),
            Ok(record) => Person::read(&record, &headings, default_role),
        };
        if let Ok(person) = &content {
            let first = *known.entry(person.email.comparable()).or_insert(number);
            if first != number {
                content = Err(vec![Fault::at(Column::Email, format!("is the same address as in line {first}"))]);
            }
        }
        lines.push(Line { number, content });
    }
    Ok(lines)
}

/// The number of lines that [`read`] finds in a file, without parsing people.
///
/// # Errors
/// As [`read`].
pub fn count(bytes: &[u8], unknown: UnknownColumns) -> Result<u64, Unreadable> {
    let (records, _) = opened(bytes, unknown)?;
    let count = records.take(MAX_LINES + 1).count();
    if count > MAX_LINES { Err(Unreadable::TooManyLines) } else { Ok(count as u64) }
}

/// The records after the header, and the header.
fn opened(bytes: &[u8], unknown: UnknownColumns) -> Result<(Records<'_>, Vec<Heading>), Unreadable> {
    let text = text(bytes)?;
    let mut records = match separator(text)? {
        Some((delimiter, length)) => Records::new(text, delimiter, length),
        None => Records::new(text, delimiter(text), 0),
    };
    let Some((_, header)) = records.next() else { return Err(Unreadable::Empty) };
    let headings = headings(&header.map_err(Unreadable::Header)?, unknown)?;
    Ok((records, headings))
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
fn headings(header: &ByteRecord, unknown: UnknownColumns) -> Result<Vec<Heading>, Unreadable> {
    let mut headings = Vec::with_capacity(header.len());
    let mut unknown_names = Vec::new();
    for field in header {
        let name = String::from_utf8_lossy(field);
        let heading = match Column::headed(&name) {
            Some(column) if headings.contains(&Heading::Column(column)) => {
                return Err(Unreadable::RepeatedColumn(column));
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
    let is_known = |column| headings.contains(&Heading::Column(column));
    if !Column::ALL.into_iter().any(is_known) {
        return Err(Unreadable::NoHeader);
    }
    if unknown == UnknownColumns::Reject && !unknown_names.is_empty() {
        return Err(Unreadable::UnknownColumns(unknown_names));
    }
    let missing: Vec<Column> = [Column::Name, Column::Email].into_iter().filter(|it| !is_known(*it)).collect();
    if missing.is_empty() { Ok(headings) } else { Err(Unreadable::MissingColumns(missing)) }
}

/// The records of a file, each with the line number at which it starts; blank records are skipped.
///
/// Quotation marks are checked before the reader parses a record: it would read to the end of the file after a
/// misplaced one, for every line again. The check ends at the first fault. It leaves its line only if that has an odd
/// number of quotation marks, and ends at the next line with an odd number, so no line is scanned more than twice.
struct Records<'a> {
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
