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
const ROOMS: [&str; 18] = [
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
    "gateway",
    "fuzz",
    "guide",
];

/// The insides of the two largest rooms, from the cellar up: a file or folder may import from those before
/// it, and from itself. What stands with a space between is one. Of a file the longest name that fits counts.
/// `mod` is what the room's own file defines.
const INSIDES: [(&str, &[&str]); 2] = [
    (
        "limiter",
        &[
            "bucket",
            "advice",
            "cancel",
            "priority",
            "event",
            "failure",
            "alarm",
            "refill",
            "clock",
            "window",
            "slots",
            "shared",
            "shared/scale",
            "shared/address",
            "shared/outage",
            "shared/reservations",
            "shared/notes",
            "shared/sync",
            "shared/connection shared/inspect",
            "shared/fuzz",
            "snapshot",
            "supply/adaptive/history",
            "shared/account",
            "supply",
            "shared/memory",
            "queue",
            "core shared/store shared/store_worker",
            "options",
            "mod",
            "ticket permit",
            "object",
            "registry",
            "builder",
            "keyed",
        ],
    ),
    (
        "batch",
        &[
            "json",
            "fingerprint",
            "ids",
            "terminal",
            "inside",
            "money",
            "machine",
            "fs",
            "wait",
            "prompt",
            "input",
            "record",
            "budget",
            "events",
            "summary",
            "shutdown",
            "read",
            "count",
            "write",
            "dispatch",
            "send",
            "run",
            "extract",
            "report",
            "fuzz",
        ],
    ),
];

/// Files that alone may name a crate, where there are two with a space between.
const HOMES: [(&str, &str); 15] = [
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
        "limiter/refill.rs client/transport/failure.rs client/transport/ready.rs client/transport/tcp.rs batch/machine.rs http/hang_ups.rs",
    ),
    ("redis::", "limiter/shared/"),
    ("use ring::", "gateway/"),
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
fn imports_inside_of_the_largest_rooms_go_downward_only() {
    let files = files();
    for (room, units) in INSIDES {
        let house = Room::new(room, &files);
        let mut seen = 0;
        for (module, code) in house
            .modules
            .iter()
            .filter(|(module, _)| !module.is_empty())
        {
            let unit = unit_of(units, module);
            let unit = unit.unwrap_or_else(|| panic!("{room}: {module} is not on the list"));
            for path in paths(code) {
                let Some(target) = house.resolve(module, &path) else {
                    continue; // another room's, which the test above looks at
                };
                let of = unit_of(units, &target);
                let of = of.unwrap_or_else(|| panic!("{room}: {target} is not on the list"));
                seen += 1;
                assert!(
                    of <= unit,
                    "{room}: {module} imports {} of {target}, which is above it",
                    path.join("::")
                );
            }
        }
        assert!(
            seen > 50,
            "{room}: only {seen} imports were found: the search is broken"
        );
    }
}

#[test]
fn an_import_is_found_in_whatever_way_it_is_written() {
    let code = "use super::a::{b, c::{d as e, self}};\nfn f() { super::super::g::h(); crate::i::J::new() }";
    let found = paths(code);
    let found: Vec<_> = found.iter().map(|path| path.join("::")).collect();
    let expected = [
        "super::a::b",
        "super::a::c::d",
        "super::a::c::self",
        "super::super::g::h",
        "crate::i::J::new",
    ];
    assert_eq!(found, expected);
    let files = [
        (
            "r.rs",
            "mod low;\nmod high;\npub(crate) use high::{Up, inner::Deep};\nstruct Own;",
        ),
        ("r/low.rs", ""),
        ("r/high/mod.rs", "mod inner;\nstruct Up;"),
        ("r/high/inner.rs", ""),
    ];
    let files = files
        .map(|(name, code)| (name.to_owned(), code.to_owned()))
        .into();
    let room = Room::new("r", &files);
    let resolve = |module: &str, path: &str| {
        let path: Vec<_> = path.split("::").map(str::to_owned).collect();
        room.resolve(module, &path)
    };
    assert_eq!(resolve("low", "super::Up").as_deref(), Some("high"));
    assert_eq!(
        resolve("low", "crate::r::Deep").as_deref(),
        Some("high/inner")
    );
    assert_eq!(resolve("low", "super::Own").as_deref(), Some("mod"));
    assert_eq!(
        resolve("high/inner", "super::super::low::X").as_deref(),
        Some("low")
    );
    assert_eq!(resolve("low", "crate::other::X"), None);
    assert_eq!(resolve("low", "super::super::other::X"), None);
    assert!(unit_of(&["low", "high"], "low") < unit_of(&["low", "high"], "high/inner"));
    assert!(
        unit_of(&["high/inner", "low", "high"], "high/inner")
            < unit_of(&["high/inner", "low"], "low")
    );
}

/// The place of a module on a list: that of the longest name that it is or lies in.
fn unit_of(units: &[&str], module: &str) -> Option<usize> {
    let fits = |unit: &str| {
        let rest = module.strip_prefix(unit);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let names = units.iter().enumerate();
    let names = names.flat_map(|(at, unit)| unit.split(' ').map(move |name| (at, name)));
    let fitting = names.filter(|(_, name)| fits(name));
    fitting.max_by_key(|(_, name)| name.len()).map(|(at, _)| at)
}

/// A room's modules.
struct Room {
    name: String,
    /// The code of each by its path in the room, as `a/b`; the room's own is the empty one.
    modules: BTreeMap<String, String>,
}

impl Room {
    fn new(name: &str, files: &BTreeMap<String, String>) -> Self {
        let own = format!("{name}/");
        let module = |file: &str| {
            let file = file.strip_suffix(".rs").unwrap();
            let path = file.strip_prefix(&own).unwrap_or("");
            let path = if path == "mod" { "" } else { path };
            path.strip_suffix("/mod").unwrap_or(path).to_owned()
        };
        let files = files.iter().filter(|(file, _)| room_of(file) == name);
        Self {
            name: name.to_owned(),
            modules: files
                .map(|(file, code)| (module(file), code.clone()))
                .collect(),
        }
    }

    /// The module that defines what a path in `module` names, if that is in this room.
    fn resolve(&self, module: &str, path: &[String]) -> Option<String> {
        let mut at: Vec<&str> = module.split('/').filter(|name| !name.is_empty()).collect();
        let mut rest = path;
        if path[0] == "crate" {
            if path.get(1) != Some(&self.name) {
                return None;
            }
            (at, rest) = (Vec::new(), &path[2..]);
        }
        while rest.first().is_some_and(|name| name == "super") {
            at.pop()?;
            rest = &rest[1..];
        }
        rest.first()?; // the room itself, in what says who may see something
        for (index, name) in rest.iter().enumerate() {
            let inner = at
                .iter()
                .chain([&name.as_str()])
                .copied()
                .collect::<Vec<_>>();
            if self.modules.contains_key(&inner.join("/")) {
                at = inner;
                continue;
            }
            // Not a module: a name that the module passes on, or its own.
            let here = at.join("/");
            if let Some(mut passed) = passed_on(&self.modules[&here], name) {
                passed.extend(rest[index + 1..].iter().cloned());
                let own = [
                    vec!["crate".to_owned(), self.name.clone()],
                    at.iter().map(|name| (*name).to_owned()).collect(),
                    passed,
                ]
                .concat();
                return self.resolve("", &own);
            }
            break;
        }
        match at.join("/") {
            root if root.is_empty() => Some("mod".to_owned()),
            inner => Some(inner),
        }
    }
}

/// Where a module has a name from that it passes on from a module inside of it, if it does.
fn passed_on(code: &str, name: &str) -> Option<Vec<String>> {
    let uses = code.split("use ").zip(code.split("use ").skip(1));
    let passes_on =
        |before: &str| before.trim_end().ends_with([')', 'b']) && before.contains("pub");
    for (_, statement) in uses.filter(|(before, _)| passes_on(before)) {
        let statement = statement.split(';').next().unwrap();
        let mut found = Vec::new();
        tree(statement, &[], &mut found);
        let ends = |path: &Vec<String>| path.last().is_some_and(|last| last == name);
        let inner = |path: &Vec<String>| !["super", "crate", "std"].contains(&path[0].as_str());
        if let Some(path) = found.into_iter().find(|path| ends(path) && inner(path)) {
            return Some(path);
        }
    }
    None
}

/// Every path in a file that begins with `super` or `crate`, those in braces one by one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = ["super::", "crate::"]
        .iter()
        .filter_map(|start| code[from..].find(start))
        .min()
    {
        let at = from + at;
        let before = code[..at].chars().next_back();
        let is_whole =
            !before.is_some_and(|char| char.is_alphanumeric() || char == '_' || char == ':');
        from = at + "super::".len();
        if is_whole {
            let rest = tree(&code[at..], &[], &mut found);
            from = from.max(code.len() - rest.len());
        }
    }
    found
}

/// Takes a path, or a tree of them, off the front of a text; returns the rest.
fn tree<'a>(text: &'a str, prefix: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, prefix, found).trim_start();
            // What stands behind a name, such as `as other`, says nothing of where it is from.
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            let is_last = !rest[end..].starts_with(',');
            rest = rest.get(end + 1..).unwrap_or_default();
            if is_last {
                return rest;
            }
        }
    }
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let end = text.find(|char| !is_name(char)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return rest;
    }
    let path = [prefix, &[name.to_owned()]].concat();
    match rest.strip_prefix("::") {
        Some(inner)
            if inner
                .trim_start()
                .starts_with(|char| is_name(char) || char == '{') =>
        {
            tree(inner, &path, found)
        }
        _ => {
            found.push(path);
            rest
        }
    }
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
