//! Which encoding a model uses, and counting in it.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::thread;

use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

use super::counter::Counter;
use super::models::ModelTable;
use super::reader;

/// A tokenizer's vocabulary: what text is counted in.
///
/// Every encoding is part of the program and is loaded once per process, on first use. Loading
/// takes about two hundredths of a second and 12 MB (half of that for `cl100k_base`), and a program
/// can [load it ahead](Encoding::preload_in_background).
///
/// ```
/// use paceline::tokens::Encoding;
///
/// assert_eq!(Encoding::for_model("gpt-4o-mini"), Encoding::O200kBase);
/// assert_eq!(Encoding::Cl100kBase.count("tiktoken is great!"), 6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// `o200k_base`: gpt-4o, gpt-4.1, gpt-5, the o series, gpt-oss.
    O200kBase,
    /// `cl100k_base`: gpt-4, gpt-3.5, the embedding models, and models that are not known.
    Cl100kBase,
    /// `p50k_base`: code models and `text-davinci-003`.
    P50kBase,
    /// `r50k_base`: GPT-2 and the first GPT-3 models.
    R50kBase,
}

impl Encoding {
    #[cfg(test)]
    pub(super) const ALL: [Self; 4] = [
        Self::O200kBase,
        Self::Cl100kBase,
        Self::P50kBase,
        Self::R50kBase,
    ];

    /// The encoding of a model. Fine-tunes (`ft:gpt-4o-mini:…`), dated snapshots, and names with
    /// a provider in front (`openai/gpt-4o`) have that of the model that they come from. Defaults
    /// to [`Cl100kBase`](Encoding::Cl100kBase) for a model that is not known. By the process's
    /// [`ModelTable`].
    ///
    /// ```
    /// use paceline::tokens::Encoding;
    ///
    /// assert_eq!(Encoding::for_model("ft:gpt-4o-mini:acme::B4x"), Encoding::O200kBase);
    /// assert_eq!(Encoding::for_model("gpt-4-0613"), Encoding::Cl100kBase);
    /// assert_eq!(Encoding::for_model("my-model"), Encoding::Cl100kBase);
    /// ```
    #[must_use]
    pub fn for_model(model: &str) -> Self {
        ModelTable::global().profile(model).encoding()
    }

    /// The encoding of a name that the tokenizer's own list has.
    pub(super) fn listed(name: &str) -> Option<Self> {
        // What is counted is the caller's text, in which special tokens mean nothing. So
        // encodings that differ only in those are one.
        match get_tokenizer(name)? {
            Tokenizer::O200kBase | Tokenizer::O200kHarmony => Some(Self::O200kBase),
            Tokenizer::Cl100kBase => Some(Self::Cl100kBase),
            Tokenizer::P50kBase | Tokenizer::P50kEdit => Some(Self::P50kBase),
            Tokenizer::R50kBase | Tokenizer::Gpt2 => Some(Self::R50kBase),
        }
    }

    /// The number of tokens of a text. Special tokens that it spells out, such as
    /// `<|endoftext|>`, count as ordinary text, which is how the API treats them in a request.
    ///
    /// Exactly what the provider's tokenizer counts; only where a megabyte or more has no place to
    /// split, such as a million letters, can it be off by a few tokens for each megabyte.
    ///
    /// Takes time in proportion to the length, whatever the text: where nothing splits a megabyte,
    /// some 20 times as long as in prose. Of texts from 1 KB on it remembers, in stretches of about
    /// 512 bytes, what it has counted: 3 MB for each encoding, which are the last 64 MB of text or
    /// more. So what many requests begin with is counted once.
    #[must_use]
    pub fn count(self, text: &str) -> u64 {
        self.counter().count(text)
    }

    /// The number of tokens of all that a reader has as one text, on every core, in memory of some
    /// megabytes for each. Bytes that are not UTF-8 count as U+FFFD.
    ///
    /// ```
    /// use paceline::tokens::Encoding;
    ///
    /// let text = "tiktoken is great!".as_bytes(); // a file, or what is unpacked
    /// assert_eq!(Encoding::Cl100kBase.count_reader(text)?, 6);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub fn count_reader(self, reader: impl Read) -> io::Result<u64> {
        reader::count(self.counter(), reader)
    }

    /// Loads the encoding, if it is not loaded yet, and returns when it is ready.
    pub fn preload(self) {
        self.counter();
    }

    /// Loads the encoding in a thread of its own and returns at once. A count that comes before
    /// it is ready waits for it, and does not load it a second time.
    pub fn preload_in_background(self) {
        let loader = thread::Builder::new().name("paceline-preload".to_owned());
        if let Err(error) = loader.spawn(move || self.preload()) {
            // Nothing is lost: the first count loads it.
            log::debug!("cannot start a thread to load {self:?}: {error}");
        }
    }

    pub(super) fn counter(self) -> &'static Counter {
        static COUNTERS: [OnceLock<Counter>; 4] = [const { OnceLock::new() }; 4];
        let [o200k, cl100k, p50k, r50k] = &COUNTERS;
        match self {
            Self::O200kBase => o200k.get_or_init(Counter::o200k),
            Self::Cl100kBase => cl100k.get_or_init(Counter::cl100k),
            Self::P50kBase => p50k.get_or_init(Counter::p50k),
            Self::R50kBase => r50k.get_or_init(Counter::r50k),
        }
    }
}

/// What the counts are compared with.
#[cfg(test)]
pub(super) fn reference(encoding: Encoding) -> &'static tiktoken_rs::CoreBPE {
    match encoding {
        Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
        Encoding::P50kBase => tiktoken_rs::p50k_base_singleton(),
        Encoding::R50kBase => tiktoken_rs::r50k_base_singleton(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_their_encodings() {
        use Encoding::{Cl100kBase, O200kBase, P50kBase, R50kBase};
        let table = [
            ("gpt-4o", O200kBase),
            ("gpt-4o-2024-08-06", O200kBase),
            ("gpt-4o-mini", O200kBase),
            ("gpt-4.1", O200kBase),
            ("gpt-4.1-nano-2025-04-14", O200kBase),
            ("gpt-4.1_custom", O200kBase),
            ("gpt-4.5-preview", O200kBase),
            ("chatgpt-4o-latest", O200kBase),
            ("gpt-5", O200kBase),
            ("gpt-5.2-codex", O200kBase),
            ("o1", O200kBase),
            ("o3", O200kBase),
            ("o3-pro", O200kBase),
            ("o4-mini", O200kBase),
            ("o4", O200kBase),
            ("o4-pro", O200kBase),
            ("ft:o4:acme", O200kBase),
            ("gpt-oss-20b", O200kBase),
            ("ft:gpt-4o-mini:org:name:id", O200kBase),
            ("ft:gpt-4o-mini-2024-07-18:acme::B4x", O200kBase),
            ("openai/gpt-4o", O200kBase),
            (" gpt-4o ", O200kBase),
            ("gpt-4", Cl100kBase),
            ("gpt-4-32k-0314", Cl100kBase),
            ("gpt-4-turbo", Cl100kBase),
            ("gpt-3.5-turbo-0125", Cl100kBase),
            ("ft:gpt-3.5-turbo:acme::x", Cl100kBase),
            ("gpt-35-turbo", Cl100kBase),
            ("text-embedding-3-small", Cl100kBase),
            ("text-davinci-003", P50kBase),
            ("text-davinci-edit-001", P50kBase),
            ("davinci", R50kBase),
            ("gpt2", R50kBase),
            ("claude-opus", Cl100kBase),
            ("omni", Cl100kBase),
            ("o", Cl100kBase),
            ("ft:", Cl100kBase),
            ("/", Cl100kBase),
            ("", Cl100kBase),
            ("é", Cl100kBase),
        ];
        for (step, (model, encoding)) in table.into_iter().enumerate() {
            assert_eq!(Encoding::for_model(model), encoding, "step {step}: {model}");
        }
    }

    /// Counts that the provider publishes: the tests of `openai/tiktoken`, and the OpenAI
    /// Cookbook's "How to count tokens with tiktoken".
    #[test]
    fn published_counts_are_met() {
        // text, o200k_base, cl100k_base, p50k_base, r50k_base
        let table = [
            ("", [0, 0, 0, 0]),
            ("hello world", [2, 2, 2, 2]),
            ("tiktoken is great!", [6, 6, 6, 6]),
            ("antidisestablishmentarianism", [6, 6, 5, 5]),
            ("2 + 2 = 4", [7, 7, 5, 5]),
            ("お誕生日おめでとう", [8, 9, 14, 14]),
        ];
        for (step, (text, counts)) in table.into_iter().enumerate() {
            for (encoding, count) in Encoding::ALL.into_iter().zip(counts) {
                assert_eq!(
                    encoding.count(text),
                    count,
                    "step {step}: {text:?}, {encoding:?}"
                );
            }
        }
    }

    #[test]
    fn special_tokens_count_as_ordinary_text() {
        for encoding in Encoding::ALL {
            let count = encoding.count("<|endoftext|>");
            assert!(count > 1, "{encoding:?}: {count}");
        }
    }

    /// Much of one thing, each of which has broken a tokenizer or could.
    #[test]
    fn runs_of_anything_are_counted_like_by_the_reference() {
        let mixed = " \t\n\r\n\u{a0}\u{3000}";
        let units = [
            " ", "\t", mixed, "\n", "a", "A", "é", "中", "!", "1", "😀", "\0", "a ", "\u{301}",
            "'s", "abc", "。「", "中A", "\u{301}A", "!\u{301}", "ſ",
        ];
        for (step, unit) in units.into_iter().enumerate() {
            for encoding in Encoding::ALL {
                for end in ["", "x", "\n", " "] {
                    let text = unit.repeat(30_000 / unit.len()) + end;
                    let expected = reference(encoding).count_ordinary(&text) as u64;
                    let count = encoding.count(&text);
                    assert_eq!(
                        count, expected,
                        "step {step}: {unit:?}, {encoding:?} and {end:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn loading_ahead_from_many_threads_loads_once() {
        Encoding::O200kBase.preload_in_background();
        let loaded: Vec<&Counter> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| Encoding::O200kBase.counter()))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("no panic"))
                .collect()
        });
        assert!(loaded.windows(2).all(|pair| std::ptr::eq(pair[0], pair[1])));
    }
}
