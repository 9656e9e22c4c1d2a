//! From bytes to records: encoding, delimiter, quotation marks, header.
//!
//! The parser of the `csv` crate forgives misplaced quotation marks and makes something else of what was meant. Here such
//! a line is refused, and reading goes on at the next one.

use std::{collections::HashMap, fmt, io::Cursor};

use csv::{ByteRecord, Position, ReaderBuilder};
use porttask_domain::identity::Role;

use super::{Column, Fault, Line, person::Person};

/// The most lines of a file, without its header.
pub const MAX_LINES: usize = 100_000;
/// The longest line.
const MAX_LINE_BYTES: usize = 16 * 1024;
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
const UTF16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
const DELIMITERS: [u8; 3] = *b",;\t";

/// Why nothing of a file can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is nothing in it.
    #[error("the file is empty: its first line must name the columns, as in name,email,role")]
    Empty,
    /// It is not text in UTF-8.
    #[error("line {line} is not UTF-8{looks_like}: save the file as CSV in UTF-8")]
    Encoding {
        /// The first line that is not.
        line: u64,
        /// What it may be instead.
        looks_like: &'static str,
    },
    /// The header has a column that is not known. It may be a value in a file without a header, so it is not repeated.
    #[error("column {position} of the header is not known: the columns are {columns}", columns = Names(&Column::ALL))]
    UnknownColumn {
        /// Counted from 1.
        position: usize,
    },
    /// The header has a column twice.
    #[error("the header has the column {0} twice")]
    RepeatedColumn(Column),
    /// The header lacks columns.
    #[error("the header lacks {missing}: the columns are {columns}", missing = Names(.0), columns = Names(&Column::ALL))]
    MissingColumns(Vec<Column>),
    /// The header has misplaced quotation marks, or is too long.
    #[error("the header cannot be read: {0}")]
    Header(&'static str),
    /// It has more lines than are taken at once.
    #[error("the file has more than {MAX_LINES} lines: split it, each part with the header")]
    TooManyLines,
}

/// Columns, as they are told.
struct Names<'a>(&'a [Column]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|column| column.name()).collect::<Vec<_>>().join(", "))
    }
}

/// The lines of a file; those who have no role in it get `default_role`.
///
/// # Errors
/// If nothing of it can be read.
pub fn read(bytes: &[u8], default_role: Role) -> Result<Vec<Line>, Unreadable> {
    let (records, columns) = opened(bytes)?;
    let mut lines = Vec::new();
    let mut known: HashMap<String, u64> = HashMap::new();
    for (number, record) in records {
        if lines.len() == MAX_LINES {
            return Err(Unreadable::TooManyLines);
        }
        let mut content = match record {
            Err(reason) => Err(vec![Fault::of_line(reason)]),
            Ok(record) => Person::read(&record, &columns, default_role),
        };
        if let Ok(person) = &content {
            let first = *known.entry(person.email.comparable()).or_insert(number);
            if first != number {
                content = Err(vec![Fault::at(Column::Email, format!("is the same as in line {first}"))]);
            }
        }
        lines.push(Line { number, content });
    }
    Ok(lines)
}

/// How many lines [`read`] finds in a file. Nobody in them is looked at, and nothing of them is kept.
///
/// # Errors
/// As those of [`read`].
pub fn count(bytes: &[u8]) -> Result<u64, Unreadable> {
    let (records, _) = opened(bytes)?;
    let count = records.take(MAX_LINES + 1).count();
    if count > MAX_LINES { Err(Unreadable::TooManyLines) } else { Ok(count as u64) }
}

/// The records behind the header, and which columns they have.
fn opened(bytes: &[u8]) -> Result<(Records<'_>, Vec<Column>), Unreadable> {
    let mut records = Records::new(text(bytes)?);
    let Some((_, header)) = records.next() else { return Err(Unreadable::Empty) };
    let columns = columns(&header.map_err(Unreadable::Header)?)?;
    Ok((records, columns))
}

/// The bytes, which are UTF-8, without a byte order mark.
fn text(bytes: &[u8]) -> Result<&[u8], Unreadable> {
    if UTF16_BOMS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(Unreadable::Encoding { line: 1, looks_like: " but UTF-16" });
    }
    let bytes = bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes);
    let until = match std::str::from_utf8(bytes) {
        // UTF-16 of plain letters without a mark is UTF-8 as well, with a null beside every letter.
        Ok(text) => match text.bytes().position(|byte| byte == 0) {
            None => return Ok(bytes),
            Some(null) => return Err(Unreadable::Encoding { line: line_at(bytes, null), looks_like: " text" }),
        },
        Err(error) => error.valid_up_to(),
    };
    let looks_like = if bytes[..until].contains(&0) { " but perhaps UTF-16" } else { " but perhaps Latin-1" };
    Err(Unreadable::Encoding { line: line_at(bytes, until), looks_like })
}

fn line_at(bytes: &[u8], offset: usize) -> u64 {
    1 + line_ends(&bytes[..offset])
}

/// How many lines end in there: with LF, CR or both.
fn line_ends(bytes: &[u8]) -> u64 {
    let is_end = |(index, byte): (usize, &u8)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(index + 1) != Some(&b'\n'),
        _ => false,
    };
    bytes.iter().enumerate().filter(|it| is_end(*it)).count() as u64
}

/// Which column stands where.
fn columns(header: &ByteRecord) -> Result<Vec<Column>, Unreadable> {
    let mut columns = Vec::with_capacity(header.len());
    for (index, field) in header.iter().enumerate() {
        let spaced = String::from_utf8_lossy(field).to_lowercase();
        let name: String = spaced.split_whitespace().collect();
        let column = Column::ALL.into_iter().find(|column| column.name() == name);
        let column = column.ok_or(Unreadable::UnknownColumn { position: index + 1 })?;
        if columns.contains(&column) {
            return Err(Unreadable::RepeatedColumn(column));
        }
        columns.push(column);
    }
    let missing: Vec<Column> = [Column::Name, Column::Email].into_iter().filter(|it| !columns.contains(it)).collect();
    if missing.is_empty() { Ok(columns) } else { Err(Unreadable::MissingColumns(missing)) }
}

/// The records of a file, each with the line in which it begins; those without content are left out.
///
/// Quotation marks are looked at before the reader comes, as it would read on to the end of the file behind a misplaced
/// one, and do so anew for every line. This look ends at the first fault. It goes beyond its line only if that has an odd
/// number of quotation marks, and then not beyond the next one that has: so no line is looked at more than twice.
struct Records<'a> {
    text: &'a [u8],
    delimiter: u8,
    reader: csv::Reader<Cursor<&'a [u8]>>,
    /// A place whose line is known.
    known: (usize, u64),
}

impl<'a> Records<'a> {
    fn new(text: &'a [u8]) -> Self {
        let delimiter = delimiter(text);
        let mut builder = ReaderBuilder::new();
        let reader = builder.delimiter(delimiter).has_headers(false).flexible(true).from_reader(Cursor::new(text));
        Self { text, delimiter, reader, known: (0, 1) }
    }

    /// The line at a place behind all that were asked for before.
    fn line(&mut self, offset: usize) -> u64 {
        let (place, line) = self.known;
        self.known = (offset, line + line_ends(&self.text[place..offset]));
        self.known.1
    }

    /// Reads on at the line after the one that begins here.
    fn resume_after(&mut self, start: usize) -> Result<(), csv::Error> {
        let rest = &self.text[start..];
        let length = rest.iter().position(|byte| is_line_end(&byte)).unwrap_or(rest.len());
        let mut place = Position::new();
        place.set_byte((start + length) as u64);
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
            // Reading from memory does not fail, and records of any length are taken.
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
const NOT_CLOSED: &str = "a quotation mark is opened and never closed";
const MISPLACED: &str =
    "a quotation mark is misplaced: put the whole field between quotation marks, and double those within";

/// The delimiter that the header has most of.
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

/// How long the record is that begins here, or what is wrong with its quotation marks.
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
