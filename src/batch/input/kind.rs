//! What kind of file an input is, by its first bytes: text in one of three encodings, or another
//! format, which is refused with a command that converts it.

use std::path::Path;

use crate::Error;

/// As many bytes as it takes to tell: the mark of a tar file stands at byte 257.
pub(super) const ENOUGH: usize = 512;
/// Where a tar file says that it is one.
const TAR_MARK: usize = 257;

/// How the characters of a text are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, with or without a byte order mark; also what is no text at all, which its lines say.
    Utf8,
    Utf16 {
        is_big_endian: bool,
    },
}

/// A format that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    /// What it is, with its article.
    what: &'static str,
    /// A shell command that converts it. `<` stands for the name of the file, `>` for that of the
    /// converted one.
    convert: &'static str,
    /// The extension of what the command writes.
    to: &'static str,
}

const fn foreign(what: &'static str, convert: &'static str, to: &'static str) -> Foreign {
    Foreign { what, convert, to }
}

/// A JSON document whose value is one list.
const JSON_ARRAY: Foreign = foreign(
    "one JSON array, where one JSON object a line is needed",
    "jq -c '.[]' < > >",
    "jsonl",
);
/// A JSON document of one object, or several, over more lines than one each.
const JSON_OBJECT: Foreign = foreign(
    "a JSON object over several lines, where one JSON object a line is needed",
    "jq -c . < > >",
    "jsonl",
);

const EXCEL: Foreign = foreign(
    "an Excel workbook",
    "python3 -c \"import pandas; pandas.read_excel('<').to_csv('>', index=False)\"",
    "csv",
);
const OPEN_DOCUMENT: Foreign = foreign(
    "an OpenDocument file",
    "soffice --headless --convert-to csv <",
    "csv",
);
const ZIP: Foreign = foreign("a zip archive", "unzip <", "");
const ARROW: Foreign = foreign(
    "a Feather (Arrow) file",
    "python3 -c \"import pandas; pandas.read_feather('<').to_json('>', orient='records', lines=True)\"",
    "jsonl",
);
const UTF_32: Foreign = foreign(
    "text in UTF-32",
    "iconv -f UTF-32 -t UTF-8 < > >",
    "utf8.txt",
);
const BINARY: Foreign = foreign(
    "a binary file: it holds NUL bytes",
    "convert it to CSV or JSONL, in UTF-8",
    "",
);

/// Formats by their first bytes.
const BY_START: [(&[u8], Foreign); 17] = [
    (
        b"PAR1",
        foreign(
            "a Parquet file",
            "python3 -c \"import pandas; pandas.read_parquet('<').to_json('>', orient='records', lines=True)\"",
            "jsonl",
        ),
    ),
    (b"ARROW1", ARROW),
    (b"FEA1", ARROW),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", EXCEL),
    (b"%PDF-", foreign("a PDF document", "pdftotext < >", "txt")),
    (
        b"SQLite format 3\0",
        foreign(
            "an SQLite database",
            "sqlite3 -header -csv < 'SELECT * FROM table_name' > >",
            "csv",
        ),
    ),
    (
        b"\x93NUMPY",
        foreign(
            "a NumPy array",
            "python3 -c \"import numpy, pandas; pandas.DataFrame(numpy.load('<')).to_csv('>', index=False)\"",
            "csv",
        ),
    ),
    (
        b"\xfd7zXZ\0",
        foreign("data packed with xz", "xz -dc < > >", "unpacked"),
    ),
    (
        b"BZh",
        foreign("data packed with bzip2", "bzip2 -dc < > >", "unpacked"),
    ),
    (b"7z\xbc\xaf\x27\x1c", foreign("a 7z archive", "7z x <", "")),
    (
        b"\x04\x22\x4d\x18",
        foreign("data packed with lz4", "lz4 -dc < > >", "unpacked"),
    ),
    (
        b"Obj\x01",
        foreign("an Avro file", "avro-tools tojson < > >", "jsonl"),
    ),
    (
        b"\x89HDF\r\n",
        foreign(
            "an HDF5 file",
            "python3 -c \"import pandas; pandas.read_hdf('<').to_csv('>', index=False)\"",
            "csv",
        ),
    ),
    (
        b"{\\rtf",
        foreign(
            "an RTF document",
            "soffice --headless --convert-to txt <",
            "txt",
        ),
    ),
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (
        b"\x80\x04\x95",
        foreign(
            "a Python pickle",
            "python3 -c \"import pandas; pandas.read_pickle('<').to_csv('>', index=False)\"",
            "csv",
        ),
    ),
];

/// What a file is that starts with these bytes: all of them up to a line end, or [`ENOUGH`].
pub(super) fn recognise(start: &[u8]) -> Result<Encoding, Foreign> {
    let listed = BY_START.iter().find(|(mark, _)| is_mark(start, mark));
    if let Some((_, format)) = listed {
        return Err(*format);
    }
    if start.starts_with(b"PK\x03\x04") {
        let holds = |name: &[u8]| start.windows(name.len()).any(|part| part == name);
        return Err(match () {
            () if holds(b"[Content_Types].xml") || holds(b"xl/") || holds(b"_rels/") => EXCEL,
            () if holds(b"opendocument") => OPEN_DOCUMENT,
            () => ZIP,
        });
    }
    if start.get(TAR_MARK..TAR_MARK + 5) == Some(b"ustar") {
        return Err(foreign("a tar archive", "tar -xf <", ""));
    }
    match start {
        [0xff, 0xfe, ..] => Ok(Encoding::Utf16 {
            is_big_endian: false,
        }),
        [0xfe, 0xff, ..] => Ok(Encoding::Utf16 {
            is_big_endian: true,
        }),
        // A header or a brace and a quote: two characters below U+0100.
        [1..=255, 0, 1..=255, 0, ..] => Ok(Encoding::Utf16 {
            is_big_endian: false,
        }),
        [0, 1..=255, 0, 1..=255, ..] => Ok(Encoding::Utf16 {
            is_big_endian: true,
        }),
        _ if start.contains(&0) => Err(BINARY),
        _ => Ok(Encoding::Utf8),
    }
}

/// Whether JSON that begins with this line is one document, and not one value a line. A line that is
/// only torn is one line's mistake.
pub(super) fn document(line: &[u8]) -> Result<(), Foreign> {
    match line.trim_ascii() {
        [b'[', ..] => Err(JSON_ARRAY),
        b"{" => Err(JSON_OBJECT),
        _ => Ok(()),
    }
}

/// Whether these bytes start with a format's mark, and continue as no header of a table would.
fn is_mark(start: &[u8], mark: &[u8]) -> bool {
    match start.strip_prefix(mark) {
        None => false,
        // The one mark that is three plain letters: its fourth byte is a digit, then comes π.
        Some(rest) if mark == b"BZh" => {
            matches!(rest, [b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..])
        }
        Some(rest) => !matches!(
            rest.first(),
            Some(b',' | b';' | b'\t' | b'|' | b'\r' | b'\n')
        ),
    }
}

impl Foreign {
    /// The error for an input of this name, with what to type.
    pub(super) fn error(self, name: &str) -> Error {
        let base = super::without_packing(Path::new(name));
        // What a shell would take apart is not put into a command.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        let file = match name.chars().all(is_plain) {
            true => name,
            false => "FILE",
        };
        let converted = match file == name {
            true => base.with_extension(self.to),
            false => Path::new("FILE").with_extension(self.to),
        };
        let mut converted = converted.display().to_string();
        if converted == file {
            // The command must not write over what it reads.
            let other = Path::new(file).with_extension(format!("converted.{}", self.to));
            converted = other.display().to_string();
        }
        Error::Input {
            message: format!(
                "{name}: this is {}: {}",
                self.what,
                self.command(file, &converted)
            ),
            looks_like: None,
        }
    }

    fn command(self, file: &str, converted: &str) -> String {
        let redirected = self.convert.strip_suffix("> >");
        let (command, redirection) = match redirected {
            Some(command) => (command, format!("> {converted}")),
            None => (self.convert, String::new()),
        };
        let command = command.replace('<', file).replace('>', converted);
        match self == BINARY {
            true => command,
            false => format!("convert it first, such as with: {command}{redirection}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(start: &[u8], name: &str) -> String {
        recognise(start).unwrap_err().error(name).to_string()
    }

    #[test]
    fn formats_are_known_by_their_first_bytes_and_say_what_to_type() {
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let table: [(&[u8], &str, &str, &str); 14] = [
            (
                b"PAR1\x15\x04",
                "r.parquet",
                "Parquet",
                "read_parquet('r.parquet').to_json('r.jsonl'",
            ),
            (
                b"PK\x03\x04\x14\0[Content_Types].xml",
                "r.xlsx",
                "Excel",
                "to_csv('r.csv'",
            ),
            (b"PK\x03\x04\x14\0x", "r.zip", "zip", "unzip r.zip"),
            (
                b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument",
                "r.ods",
                "OpenDocument",
                "soffice",
            ),
            (
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                "r.xls",
                "Excel",
                "read_excel('r.xls')",
            ),
            (b"%PDF-1.7\n", "r.pdf", "PDF", "pdftotext r.pdf r.txt"),
            (
                b"SQLite format 3\0",
                "r.db",
                "SQLite",
                "sqlite3 -header -csv r.db 'SELECT * FROM table_name' > r.csv",
            ),
            (b"ARROW1\0\0", "r.feather", "Feather", "read_feather"),
            (b"\x93NUMPY\x01", "r.npy", "NumPy", "numpy.load('r.npy')"),
            (&tar, "r.tar", "tar", "tar -xf r.tar"),
            (
                b"BZh91AY&SY",
                "r.bz2",
                "bzip2",
                "bzip2 -dc r.bz2 > r.unpacked",
            ),
            (b"\xfd7zXZ\0\0", "r.xz", "xz", "xz -dc r.xz > r.unpacked"),
            (b"\xff\xfe\0\0a\0\0\0", "r", "UTF-32", "iconv -f UTF-32"),
            (b"a\0\0\0b", "r", "binary", "NUL"),
        ];
        for (start, name, what, command) in table {
            let said = said(start, name);
            assert!(
                said.starts_with(&format!("{name}: this is a"))
                    || what == "UTF-32"
                    || what.contains('z'),
                "{said}"
            );
            assert!(said.contains(what) && said.contains(command), "{said}");
        }
        let strange = said(b"%PDF-1.7\n", "my file; rm -rf.pdf");
        assert!(strange.ends_with("pdftotext FILE FILE.txt"), "{strange}");
    }

    #[test]
    fn a_command_never_writes_over_what_it_reads() {
        let said = JSON_ARRAY.error("a/r.jsonl").to_string();
        assert!(
            said.ends_with("jq -c '.[]' a/r.jsonl > a/r.converted.jsonl"),
            "{said}"
        );
        let said = JSON_ARRAY.error("r.json").to_string();
        assert!(said.ends_with("jq -c '.[]' r.json > r.jsonl"), "{said}");
    }

    #[test]
    fn what_only_looks_like_a_mark_is_text() {
        for start in [
            &b"PAR1,text\n"[..],
            b"BZh1,x\n",
            b"",
            b"a\n",
            b"FEA1\n",
            b"\xef\xbb\xbfa",
        ] {
            assert_eq!(recognise(start), Ok(Encoding::Utf8), "{start:?}");
        }
        let utf_16 = |is_big_endian| Ok(Encoding::Utf16 { is_big_endian });
        assert_eq!(recognise(b"\xff\xfea\0"), utf_16(false));
        assert_eq!(recognise(b"\xfe\xff\0a"), utf_16(true));
        assert_eq!(recognise(b"{\0\"\0"), utf_16(false));
        assert_eq!(recognise(b"\0{\0\""), utf_16(true));
    }
}
