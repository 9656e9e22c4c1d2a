//! Tests of reading files.

use porttask_domain::identity::{Access, Permissions, Role};

use super::{Column, Line, LineReport, UnknownColumns, Unreadable};
use crate::sheet::Columns;

const MAX_LINES: usize = <Column as Columns>::MAX_LINES;

fn read(bytes: &[u8], default_role: Role) -> Result<Vec<Line>, Unreadable> {
    super::read(bytes, default_role, UnknownColumns::Reject)
}

fn count(bytes: &[u8]) -> Result<u64, Unreadable> {
    super::count(bytes, UnknownColumns::Reject)
}

fn lines(text: impl AsRef<[u8]>) -> Vec<Line> {
    let lines = read(text.as_ref(), Role::ReadOnly).unwrap();
    assert_eq!(count(text.as_ref()), Ok(lines.len() as u64));
    lines
}

/// `number name <address>` of valid lines, and `number column: reason` of the others.
fn told(text: impl AsRef<[u8]>) -> Vec<String> {
    let fault = |line: &Line| match &line.content {
        Ok(person) => format!("{} {} <{}>", line.number, person.name.as_str(), person.email),
        Err(faults) => {
            let of = |field: Option<Column>| field.map_or("line", Column::name);
            let faults: Vec<String> = faults.iter().map(|it| format!("{}: {}", of(it.field), it.reason)).collect();
            format!("{} {}", line.number, faults.join("; "))
        }
    };
    lines(text).iter().map(fault).collect()
}

fn rejected(text: impl AsRef<[u8]>) -> String {
    let error = read(text.as_ref(), Role::ReadOnly).unwrap_err();
    assert_eq!(count(text.as_ref()), Err(error.clone()));
    error.to_string()
}

#[test]
fn people_are_read_with_their_roles_and_permissions() {
    let read = lines(
        "name,email,role,tickets,administration\n\
         Ana Souza,ana@acme.example,Admin,read,none\n\
         José Ñandú,jose@acme.example,READ-ONLY,,\n\
         Nguyễn Thị Minh Khai,khai@acme.example,,None,\n\
         Łukasz,lukasz@acme.example,read only,,\n",
    );
    let people: Vec<_> = read.iter().map(|line| line.content.clone().unwrap()).collect();
    let narrowed = Permissions { tickets: Access::Read, administration: Access::None, ..Role::Admin.ceiling() };
    assert_eq!((people[0].role, people[0].permissions), (Role::Admin, narrowed));
    assert_eq!((people[1].role, people[1].permissions), (Role::ReadOnly, Role::ReadOnly.ceiling()));
    assert_eq!(people[2].permissions, Permissions { tickets: Access::None, ..Role::ReadOnly.ceiling() });
    assert_eq!((people[1].name.as_str(), people[3].role), ("José Ñandú", Role::ReadOnly));
}

#[test]
fn odd_but_valid_addresses_are_read() {
    assert_eq!(
        told(
            "email,name\n\
             o'brien+x@sub.example.co,Pat O'Brien\n\
             jörg@MÜLLER.example,Jörg\n\
             用户@例子.测试,用户\n\
             \"ana@acme.example\",\"Souza, Ana\"\n\
             \"\"\"ana b\"\"@acme.example\",Ana\n"
        ),
        [
            "2 Pat O'Brien <o'brien+x@sub.example.co>",
            "3 Jörg <jörg@xn--mller-kva.example>",
            "4 用户 <用户@xn--fsqu00a.xn--0zwm56d>",
            "5 Souza, Ana <ana@acme.example>",
            "6 email: must be an email address such as ana@example.com",
        ]
    );
}

#[test]
fn delimiters_line_ends_and_byte_order_marks_are_accepted() {
    let expected = ["2 Ana <ana@a.example>", "4 Bob <bob@a.example>"];
    for delimiter in [",", ";", "\t"] {
        for end in ["\n", "\r\n", "\r"] {
            for mark in ["", "\u{feff}"] {
                let emails = [" E Mail ", "ana@a.example", "", "bob@a.example"];
                let names = ["NAME", "Ana", "", "Bob"];
                let lines = names.iter().zip(emails).map(|(name, email)| match name.is_empty() {
                    true => String::new(),
                    false => format!("{name}{delimiter}{email}"),
                });
                let text = format!("{mark}{}", lines.collect::<Vec<_>>().join(end));
                assert_eq!(told(&text), expected, "{text:?}");
            }
        }
    }
    assert_eq!(
        told("name;email\nA,B;a@a.example\n;\n ; \nC;c@a.example"),
        ["2 A,B <a@a.example>", "5 C <c@a.example>"]
    );
}

#[test]
fn quoted_fields_may_contain_line_breaks_that_count_as_lines() {
    assert_eq!(
        told("name,email\n\n\"Ana\nSouza\",ana@a.example\r\n\"Bob\",bob@a.example\n"),
        ["3 name: must not contain control or invisible characters", "5 Bob <bob@a.example>"]
    );
}

#[test]
fn misplaced_quotation_marks_affect_only_their_line() {
    let misplaced = "line: a quotation mark is misplaced: quote the whole field, and double the quotation marks inside \
                     it";
    let text = "name,email\n\
                \"Ana \"Annie\" Souza\",ana@a.example\n\
                Bob,bob@a.example\n\
                \"Cleo,cleo@a.example\n\
                \"Dan\",dan@a.example\n\
                Eve \"Eva\" E,eve@a.example\n\
                \"Fay \"\"Fee\"\" F\",fay@a.example\n\
                \"Gus,gus@a.example\n\
                Hal,hal@a.example\n";
    assert_eq!(
        told(text),
        [
            &format!("2 {misplaced}"),
            "3 Bob <bob@a.example>",
            &format!("4 {misplaced}"),
            "5 Dan <dan@a.example>",
            &format!("6 {misplaced}"),
            "7 Fay \"Fee\" F <fay@a.example>",
            "8 line: an opening quotation mark is never closed",
            "9 Hal <hal@a.example>",
        ]
    );
}

#[test]
fn faults_name_the_column_but_not_the_value() {
    assert_eq!(
        told(
            "name,email,role,tickets,invoices\n\
             www.evil.example,hunter2,boss,all,\n\
             Ana,ana@a.example,agent,,write\n\
             Bob,bob@a.example,agent\n\
             Cleo,cleo@a.example,agent,,,,x\n"
        ),
        [
            "2 name: must not contain a web or email address: add a space after each dot; email: must be an email address such as ana@example.com; \
             role: must be admin, agent, read_only or auditor; tickets: must be none, read or write",
            "3 invoices: exceeds the maximum of the role",
            "4 line: has 3 fields, but the header has 5",
            "5 line: has 7 fields, but the header has 5",
        ]
    );
}

#[test]
fn a_report_contains_the_first_three_faults_of_a_line() {
    let read = lines("tickets,role,reports,email,invoices,name\nx,x,x,x,x,\n");
    let faults = read[0].content.clone().unwrap_err();
    assert_eq!(faults.len(), 6);
    assert_eq!(LineReport::rejected(2, faults.clone()).faults, faults[..3]);
}

#[test]
fn the_second_of_two_equal_addresses_is_rejected() {
    assert_eq!(
        told("name,email\nAna,Ana@A.example\n,bob@a.example\nAnn,ana@a.EXAMPLE\nBob,bob@a.example\n"),
        [
            "2 Ana <Ana@a.example>",
            "3 name: must not be empty",
            "4 email: is the same address as in line 2",
            "5 Bob <bob@a.example>",
        ]
    );
}

#[test]
fn other_encodings_are_reported_with_their_line() {
    let latin = b"name,email\nAna,ana@a.example\nJos\xe9,jose@a.example\n";
    assert_eq!(rejected(latin), "line 3 is not UTF-8 but possibly Latin-1: save the file as CSV in UTF-8");
    let utf16: Vec<u8> = "name,email\nAna,a@a.example\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(rejected([b"\xff\xfe", &utf16[..]].concat()).starts_with("line 1 is not UTF-8 but UTF-16"));
    assert!(rejected(&utf16).starts_with("line 1 is not UTF-8"), "{}", rejected(&utf16));
    assert!(rejected("name,email\nAna\0,a@a.example").starts_with("line 2 is not UTF-8"));
}

#[test]
fn a_file_without_a_valid_header_is_rejected() {
    let known = "the columns are name, email, role, tickets, invoices, reports, administration";
    for empty in ["", "\u{feff}", "\r\n\n"] {
        assert_eq!(read(empty.as_bytes(), Role::Agent), Err(Unreadable::Empty("name, email".to_owned())), "{empty:?}");
    }
    assert_eq!(rejected("Ana Souza,ana@a.example\n"), format!("the first line names no column: {known}"));
    assert_eq!(rejected("name,email,E MAIL\n"), "the header has the column email twice");
    assert_eq!(rejected("role\nagent\n"), format!("the header lacks name, email: {known}"));
    assert!(rejected("name,\"email\nAna,a@a.example\n").contains("never closed"));
    assert_eq!(lines("name,email"), []);
    assert_eq!(lines("name,email\r\n\r\n"), []);
}

#[test]
fn unknown_columns_are_named_or_skipped() {
    let text = "Telefon,Full name,e-mail,\"Cost \"\"centre\"\"\"\n+49 30,Ana,ana@a.example,12\n";
    let error = rejected(text);
    assert!(error.starts_with(r#"the header has unknown columns: "Telefon", "Cost \"centre\""; rename"#), "{error}");
    let without = read(text.as_bytes(), Role::Agent).unwrap_err().without_names();
    assert_eq!(without, "the header has unknown columns");
    let lines = super::read(text.as_bytes(), Role::Agent, UnknownColumns::Skip).unwrap();
    let person = lines[0].content.as_ref().unwrap();
    assert_eq!((person.name.as_str(), person.email.to_string()), ("Ana", "ana@a.example".to_owned()));
    assert_eq!(super::count(text.as_bytes(), UnknownColumns::Skip), Ok(1));
    let long = format!("name,email,{}", "x".repeat(1_000));
    assert!(rejected(long).contains(&format!("\"{}\";", "x".repeat(50))));
}

#[test]
fn files_are_read_as_spreadsheets_write_them() {
    let expected = ["3 Ana <ana@a.example>", "4 Bob <bob@a.example>"];
    for first in ["sep=;", "SEP=;", "\"sep=;\"", "\u{feff}sep=;"] {
        let text = format!("{first}\r\nName;E-Mail;\r\nAna;ana@a.example;\r\nBob;bob@a.example\r\n");
        assert_eq!(told(text), expected, "{first}");
    }
    assert_eq!(told("sep=\t\nname, x\temail\nAna\tana@a.example\n".replace(", x", "")), expected[..1]);
    assert_eq!(rejected("sep=|\nname|email\n"), "the line sep= must name a comma, a semicolon or a tab");
    // Empty columns, in the header and the lines, or only in the lines.
    assert_eq!(
        told("Name,Email,,Role, \nAna,ana@a.example,,agent,\nBob,bob@a.example,,agent,,,\n"),
        ["2 Ana <ana@a.example>", "3 Bob <bob@a.example>"]
    );
    assert_eq!(
        told("Name,Email,\nAna,ana@a.example,admin\n"),
        ["2 line: has a value in column 3, which has no name in the header"]
    );
    for header in
        ["Full name,E-Mail", "DISPLAY NAME,Email address", "full-name,E-mail Address", "name,mail", "Name:,e_mail*"]
    {
        assert_eq!(told(format!("{header}\nAna,ana@a.example\n")), ["2 Ana <ana@a.example>"], "{header}");
    }
    assert_eq!(rejected("name,email,E-Mail address\n"), "the header has the column email twice");
}

#[test]
fn lines_and_files_that_are_too_long_are_rejected() {
    let long = "x".repeat(20_000);
    let text = format!("name,email\n{long},a@a.example\n\"{long}\nB\",b@a.example\nC,c@a.example\n");
    assert_eq!(
        told(text),
        ["2 line: the line is longer than 16 KiB", "3 line: the line is longer than 16 KiB", "5 C <c@a.example>"]
    );
    let many = |count| format!("name,email\n{}", "A,a@a.example\n".repeat(count));
    assert_eq!(lines(many(MAX_LINES)).len(), MAX_LINES);
    assert_eq!(read(many(MAX_LINES + 1).as_bytes(), Role::Agent), Err(Unreadable::TooManyLines(MAX_LINES)));
    assert_eq!(count(many(MAX_LINES + 1).as_bytes()), Err(Unreadable::TooManyLines(MAX_LINES)));
}

/// If every faulty line were read to the end of the file, this test would take hours.
#[test]
fn large_files_full_of_quotation_marks_are_read_in_linear_time() {
    const BYTES: usize = 10 * 1024 * 1024;
    let many = |line: &str| format!("name,email\n{}", line.repeat(BYTES / line.len()));
    // For a lenient parser, such a line ends inside quotation marks, whether it starts outside or inside them.
    assert_eq!(rejected(many("x\",y\",\"\n")), Unreadable::TooManyLines(MAX_LINES).to_string());
    let long = "z".repeat(200);
    for line in [format!("{long}\",y\",\"\n"), format!("\"{long}\n{long}\n"), format!("{long},\"{long}\r")] {
        let read = lines(many(&line));
        let faults = read.iter().filter_map(|line| line.content.as_ref().err()).flatten();
        assert!(faults.filter(|fault| fault.reason.contains("misplaced")).count() > 10_000, "{line:?}");
    }
    let read = lines(many(&format!("{long},\"\"\n")).replacen('\n', "\n\"A,\n", 1));
    assert!(read[0].content.as_ref().unwrap_err()[0].reason.contains("never closed"));
    assert!(read.len() > 50_000);
}
