//! Which model is counted how: a dated table by family, and files that overrule it.

mod file; //    the table in TOML
mod name; //    the part of a name that says the family
mod profile; // what is counted how, for one model

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::Encoding;
use crate::{Error, Result};
use name::Name;

pub(super) use profile::AudioRate;
pub use profile::Profile;

/// The table that is part of the program.
const BUILT_IN: &str = include_str!("models.toml");

static GLOBAL: OnceLock<Arc<ModelTable>> = OnceLock::new();

/// How requests are counted, by model: encodings, overheads, and what tools, images, sounds and files
/// count as.
///
/// The built-in table is dated ([`ModelTable::dated`]), since the provider changes these numbers now and
/// then. A file overrules it in parts: [`ModelTable::from_toml`] shows the form.
///
/// A model is of the family with the longest name that its own begins with: `gpt-4o-mini-2024-07-18` of
/// `gpt-4o-mini`. Providers in front (`azure/…`), fine-tunes (`ft:…:acme::x`) and capital letters make no
/// difference. For a model of no family the tokenizer's own list says the encoding, and everything
/// else is as `[default]` has it.
///
/// An image at an address counts as the largest that there can be, which is a lot where a model takes
/// images as they are (36,000 tokens of gpt-5.6): put it into the request, or ask for
/// [`Detail::High`](super::Detail::High).
///
/// Cheap to look up, as each request does: one binary search, no lock and no allocation.
///
/// ```
/// use paceline::tokens::ModelTable;
///
/// println!("as of {}", ModelTable::global().dated());
/// ```
#[derive(Clone)]
pub struct ModelTable {
    dated: String,
    /// What the files say, as they say it: another file can be laid over it.
    written: file::Written,
    /// By name, sorted.
    families: Vec<Family>,
    default: Profile,
}

#[derive(Clone)]
struct Family {
    name: String,
    profile: Profile,
    /// The longest other family whose name this one's begins with, letter by letter.
    shorter: Option<usize>,
}

impl ModelTable {
    /// The table of this process: the built-in one, unless [`ModelTable::set_global`] was called
    /// before.
    #[must_use]
    pub fn global() -> &'static Arc<Self> {
        GLOBAL.get_or_init(|| Arc::new(Self::default()))
    }

    /// Makes `table` that of this process. To be called before the first use.
    ///
    /// # Errors
    ///
    /// Gives `table` back when the process has one already: requests may have been counted by it.
    pub fn set_global(table: Arc<Self>) -> std::result::Result<(), Arc<Self>> {
        GLOBAL.set(table)
    }

    /// Reads a table from TOML and lays it over the built-in one: what it does not say stays.
    ///
    /// ```
    /// use paceline::tokens::{Detail, Encoding, ModelTable};
    ///
    /// let table = ModelTable::from_toml(r#"
    ///     [models."my-deployment"]       # any name that begins so, up to a letter or a digit
    ///     like = "gpt-4o"                # as that model, but for what follows
    ///     encoding = "o200k_base"        # or cl100k_base, p50k_base, r50k_base
    ///     message = { each = 3, name = 1, reply = 3 }   # of each, of its name, once for the answer
    ///     tools = { each = 7, properties = 3, property = 3, choices = -3, choice = 3, all = 12 }
    ///     schema = 10                    # around the schema of an answer
    ///
    ///     [families.tiled]               # the same for several
    ///     models = ["my-vision", "my-other-vision"]
    ///     tiles = { base = 85, each = 170, side = 2048, short = 768 }
    ///
    ///     [models."my-patches"]          # images in patches of 32 pixels, in place of tiles
    ///     patches = { multiplier = 1.2, high = { budget = 2500, side = 2048 }, original = { budget = 10_000, side = 6000 }, auto = "original" }
    ///
    ///     [default]                      # of every model that nothing else is said of
    ///     audio = { per_second = 10, bytes_per_second = 2_000, unknown = 1_200 }
    ///     files = { bytes_per_page = 50_000, page = 800, bytes_per_token = 3, unknown = 16_000 }
    /// "#)?;
    /// assert_eq!(table.profile("my-deployment-2").encoding(), Encoding::O200kBase);
    /// assert_eq!(table.profile("my-vision").image_tokens(512, 512, Detail::High), 255);
    /// assert_eq!(table.profile("gpt-4o").image_tokens(512, 512, Detail::Low), 85);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the line, the column and the key of what is wrong.
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::default().with_toml(text)
    }

    /// This table with another one laid over it: what that one says goes before.
    ///
    /// # Errors
    ///
    /// Those of [`from_toml`](ModelTable::from_toml).
    pub fn with_toml(&self, text: &str) -> Result<Self> {
        let mut written = self.written.clone();
        let dated = written.lay_over(text)?;
        let (families, default) = written.compile()?;
        let dated = dated.unwrap_or_else(|| self.dated.clone());
        Ok(Self::new(dated, written, families, default))
    }

    /// Reads a table from a TOML file on disk; see [`from_toml`](ModelTable::from_toml).
    ///
    /// # Errors
    ///
    /// [`Error::File`] with the line and the key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Error::in_file("models file", path.as_ref(), Self::from_toml)
    }

    /// How requests to a model are counted.
    #[must_use]
    pub fn profile(&self, model: &str) -> Profile {
        let name = Name::of(model);
        if let Some(family) = self.family(name.bytes()) {
            return family.profile;
        }
        Profile {
            encoding: Encoding::listed(name.text()).unwrap_or(self.default.encoding),
            ..self.default
        }
    }

    /// When the table was last compared with what the provider says, such as `2026-11`.
    #[must_use]
    pub fn dated(&self) -> &str {
        &self.dated
    }

    fn new(
        dated: String,
        written: file::Written,
        families: Vec<(String, Profile)>,
        default: Profile,
    ) -> Self {
        let mut sorted: Vec<Family> = Vec::with_capacity(families.len());
        for (name, profile) in families {
            let last = sorted.len().checked_sub(1);
            let shorter = chain(&sorted, last).find(|at| {
                let begins = |family: &Family| name.starts_with(&family.name);
                sorted.get(*at).is_some_and(begins)
            });
            sorted.push(Family {
                name,
                profile,
                shorter,
            });
        }
        Self {
            dated,
            written,
            families: sorted,
            default,
        }
    }

    /// The family with the longest name that `name` begins with. Whatever sorts between a name and a
    /// beginning of it begins with that, too; so every beginning is found from the next smaller name
    /// by continuing with shorter ones.
    fn family(&self, name: &[u8]) -> Option<&Family> {
        let after = self
            .families
            .partition_point(|family| family.name.as_bytes() <= name);
        chain(&self.families, after.checked_sub(1))
            .filter_map(|at| self.families.get(at))
            .find(|family| belongs(name, family.name.as_bytes()))
    }
}

/// An entry and those with ever shorter names that its own begins with.
fn chain(families: &[Family], from: Option<usize>) -> impl Iterator<Item = usize> {
    std::iter::successors(from, |at| families.get(*at)?.shorter)
}

/// True for a family's own name, and for one that continues after it with no letter or digit.
fn belongs(name: &[u8], family: &[u8]) -> bool {
    let rest = name.strip_prefix(family);
    rest.is_some_and(|rest| {
        rest.first()
            .is_none_or(|next| !next.is_ascii_alphanumeric())
    })
}

impl Default for ModelTable {
    /// The built-in table.
    fn default() -> Self {
        static TABLE: OnceLock<ModelTable> = OnceLock::new();
        let nothing = || {
            Self::new(
                String::new(),
                file::Written::default(),
                Vec::new(),
                Profile::BARE,
            )
        };
        // A test reads it, so it is whole.
        let read = || nothing().with_toml(BUILT_IN).unwrap_or_else(|_| nothing());
        TABLE.get_or_init(read).clone()
    }
}

impl fmt::Debug for ModelTable {
    /// Not each number: there are hundreds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelTable")
            .field("dated", &self.dated)
            .field("families", &self.families.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
