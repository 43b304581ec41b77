//! The house as `ARCHITECTURE.md` draws it: imports go downward only.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the cellar up. A room may import from those before it.
const ROOMS: [&str; 16] = [
    "sync",
    "unit",
    "error",
    "quota",
    "cost",
    "observation",
    "limiter",
    "providers",
    "ureq",
    "tokens",
    "client",
    "parallel",
    "batch",
    "http",
    "sim",
    "fuzz",
];

/// Files that alone may name a crate, where there are two with a space between.
const HOMES: [(&str, &str); 14] = [
    ("fs4::", "batch/fs"),
    ("webpki_roots::", "client/transport/roots.rs"),
    ("tiktoken_rs::", "tokens/encoding.rs"),
    ("regex_syntax::", "tokens/counter/classes.rs"),
    ("csv::", "batch/"),
    (
        "flate2::",
        "batch/input/unpack.rs client/transport/unpack.rs",
    ),
    (
        "ruzstd::",
        "batch/input/unpack.rs client/transport/unpack.rs tokens/counter/ranks.rs",
    ),
    ("twox_hash::", "batch/ tokens/counter/memory.rs"),
    ("rustls_native_certs::", "client/transport/roots.rs"),
    (
        "httparse::",
        "http/ client/transport/head.rs client/transport/body.rs",
    ),
    ("jiff::", "providers/durations.rs"),
    ("loom::", "sync.rs"),
    (
        "rustix::",
        "limiter/refill.rs client/transport/failure.rs client/transport/ready.rs client/transport/tcp.rs batch/machine.rs",
    ),
    ("redis::", "limiter/shared/"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file of the library by its path under `src`, without comments and tests.
fn files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&source(), &mut found);
    found
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(source())
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            (name, code(&fs::read_to_string(path).unwrap()))
        })
        .filter(|(name, _)| !name.starts_with("bin/") && !name.contains("tests"))
        .collect()
}

/// The code of a file: no comments, and nothing from the tests at its end on.
fn code(text: &str) -> String {
    let before_tests = match text.find("mod tests {") {
        Some(at) => &text[..at],
        None => text,
    };
    let lines = before_tests
        .lines()
        .map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

fn room_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// The room of each name that stands at the crate's root, as `lib.rs` re-exports it.
fn exports(lib: &str) -> BTreeMap<String, String> {
    let mut exports: BTreeMap<_, _> = ROOMS
        .iter()
        .map(|room| ((*room).to_owned(), (*room).to_owned()))
        .collect();
    for statement in lib.split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else {
            continue;
        };
        let (room, names) = path.split_once("::").unwrap();
        let names = names.trim_matches(['{', '}', ' ', '\n']);
        for name in names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            exports.insert(name.to_owned(), room.to_owned());
        }
    }
    exports
}

/// The names behind each `crate::` of a file, those in braces one by one.
fn imports(code: &str) -> Vec<String> {
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let mut names = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap(),
            None => &rest[..rest.find(|char| !is_name(char)).unwrap_or(rest.len())],
        };
        let first = |item: &str| item.trim().split("::").next().unwrap().trim().to_owned();
        names.extend(list.split(',').map(first).filter(|name| !name.is_empty()));
    }
    names
}

#[test]
fn every_room_is_on_the_list() {
    for file in files().keys().filter(|file| *file != "lib.rs") {
        assert!(ROOMS.contains(&room_of(file)), "{file} is in no room");
    }
}

#[test]
fn imports_go_downward_only() {
    let files = files();
    let exports = exports(&files["lib.rs"]);
    let height = |room: &str| ROOMS.iter().position(|known| *known == room).unwrap();
    let mut seen = 0;
    for (file, code) in files.iter().filter(|(file, _)| *file != "lib.rs") {
        for name in imports(code) {
            let Some(room) = exports.get(&name) else {
                panic!("{file} imports crate::{name}, which lib.rs does not name");
            };
            seen += 1;
            let allowed = height(room) <= height(room_of(file));
            assert!(
                allowed,
                "{file} imports {name} of {room}, which is above it"
            );
        }
    }
    assert!(
        seen > 50,
        "only {seen} imports were found: the search is broken"
    );
}

#[test]
fn the_judge_shares_nothing_with_what_it_judges() {
    for (file, code) in files().iter().filter(|(file, _)| room_of(file) == "sim") {
        // HTTP knows nothing of limits.
        let own = |name: &String| name == "sim" || name == "http";
        let foreign: Vec<_> = imports(code)
            .into_iter()
            .filter(|name| !own(name))
            .collect();
        assert!(
            foreign.is_empty(),
            "{file} imports from the crate: {foreign:?}"
        );
    }
}

#[test]
fn each_crate_has_its_home() {
    for (name, home) in HOMES {
        let mut found = 0;
        for (file, code) in files() {
            if code.contains(name) {
                assert!(
                    home.split(' ').any(|home| file.starts_with(home)),
                    "{file} names {name}, whose home is {home}"
                );
                found += 1;
            }
        }
        assert!(found > 0, "nobody names {name}");
    }
}

#[test]
fn every_public_type_has_an_example() {
    fn walk(folder: &Path, missing: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.is_dir() {
                true if ["bin", "fuzz", "tests"].contains(&name.as_str()) => {}
                true => walk(&path, missing),
                false if name.ends_with(".rs") && !name.ends_with("tests.rs") => {
                    let text = fs::read_to_string(&path).unwrap();
                    missing.extend(types_without_example(&text));
                }
                false => {}
            }
        }
    }
    let mut missing = Vec::new();
    walk(&source(), &mut missing);
    assert!(missing.is_empty(), "without an example: {missing:?}");
    let text = "/// A.\npub struct A;\n/// B.\n/// ```\n/// ```\n#[derive(Debug)]\npub enum B {}\n";
    assert_eq!(types_without_example(text), ["A"]);
}

/// The public types of a file in whose documentation no block of code stands.
fn types_without_example(text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    let mut has_example = false;
    for line in text.lines().take_while(|line| *line != "mod tests {") {
        let kinds = ["pub struct ", "pub enum ", "pub trait "];
        if let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) {
            let is_name = |char: char| char.is_alphanumeric() || char == '_';
            let end = rest.find(|char| !is_name(char)).unwrap_or(rest.len());
            if !has_example {
                missing.push(rest[..end].to_owned());
            }
        }
        let is_above = line.starts_with("///")
            || line.starts_with("#[")
            || line.starts_with("    ")
            || line.starts_with(")]");
        has_example = is_above && (has_example || line.starts_with("/// ```"));
    }
    missing
}
