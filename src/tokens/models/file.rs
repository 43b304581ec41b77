//! The table in TOML. [`ModelTable::from_toml`](super::ModelTable::from_toml) shows the form.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use serde::Deserialize;
use toml::Spanned;

use super::name::{MOST, Name};
use super::profile::{AudioRate, FileSize, MessageFormat, Profile, ToolFormat};
use super::{Encoding, belongs};
use crate::quota::{Place, from_toml};
use crate::tokens::image::{Image, Patches, Tiles};
use crate::{Error, Result};

/// How many families one may follow another, by `like` and by shorter names together.
const MOST_STEPS: usize = 100;

/// What files say, without what follows from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    default: Keys,
    families: BTreeMap<String, Keys>,
}

/// What is said of one family.
#[derive(Debug, Clone, Default)]
struct Keys {
    like: Option<Like>,
    encoding: Option<Encoding>,
    message: Option<MessageFormat>,
    tools: Option<ToolFormat>,
    schema: Option<u32>,
    image: Option<Image>,
    audio: Option<AudioRate>,
    files: Option<FileSize>,
}

#[derive(Debug, Clone)]
struct Like {
    model: String,
    /// Where it stands, for messages.
    place: Place,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    dated: Option<String>,
    default: Option<Spanned<Fallback>>,
    #[serde(default)]
    models: BTreeMap<Spanned<String>, Entry>,
    #[serde(default)]
    families: BTreeMap<String, Family>,
}

/// The keys of a table, in three structs: a flattened one would lose the places of mistakes.
macro_rules! forms {
    ($($form:ident { $($first:ident: $type:ty)? })*) => {$(
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $form {
            $($first: $type,)?
            encoding: Option<EncodingName>,
            message: Option<MessageFormat>,
            tools: Option<ToolFormat>,
            schema: Option<u32>,
            tiles: Option<Spanned<Tiles>>,
            patches: Option<Spanned<Patches>>,
            audio: Option<AudioRate>,
            files: Option<FileSize>,
        }

        impl $form {
            /// All but the first key.
            fn keys(&self, text: &str) -> Result<Keys> {
                let image = match (&self.tiles, &self.patches) {
                    (Some(_), Some(patches)) => {
                        let place = Place::of(text, patches.span().start);
                        let reason = "patches: images have tiles or patches, not both";
                        return Err(place.wrong("patches", reason));
                    }
                    (Some(tiles), None) => Some(Image::Tiles(*tiles.get_ref())),
                    (None, Some(patches)) => Some(Image::Patches(*patches.get_ref())),
                    (None, None) => None,
                };
                Ok(Keys {
                    like: None,
                    encoding: self.encoding.map(Encoding::from),
                    message: self.message,
                    tools: self.tools,
                    schema: self.schema,
                    image,
                    audio: self.audio,
                    files: self.files,
                })
            }
        }
    )*};
}

forms! {
    Fallback {}
    Entry { like: Option<Spanned<String>> }
    Family { models: Vec<Spanned<String>> }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EncodingName {
    O200kBase,
    O200kHarmony,
    Cl100kBase,
    P50kBase,
    P50kEdit,
    R50kBase,
    Gpt2,
}

impl From<EncodingName> for Encoding {
    fn from(name: EncodingName) -> Self {
        // Those that differ in special tokens alone are one.
        match name {
            EncodingName::O200kBase | EncodingName::O200kHarmony => Self::O200kBase,
            EncodingName::Cl100kBase => Self::Cl100kBase,
            EncodingName::P50kBase | EncodingName::P50kEdit => Self::P50kBase,
            EncodingName::R50kBase | EncodingName::Gpt2 => Self::R50kBase,
        }
    }
}

impl Written {
    /// Lays what a file says over what is there, key by key. Gives back its date.
    pub(super) fn lay_over(&mut self, text: &str) -> Result<Option<String>> {
        let file: File = from_toml(text)?;
        // What one file says, so that it cannot say a thing twice.
        let mut said: BTreeMap<String, Keys> = BTreeMap::new();
        for (name, entry) in &file.models {
            let mut keys = entry.keys(text)?;
            keys.like = entry.like.as_ref().map(|like| Like {
                model: like.get_ref().clone(),
                place: Place::of(text, like.span().start),
            });
            add(&mut said, name, keys, text)?;
        }
        for family in file.families.values() {
            let keys = family.keys(text)?;
            for name in &family.models {
                add(&mut said, name, keys.clone(), text)?;
            }
        }
        if let Some(default) = &file.default {
            self.default.take(default.get_ref().keys(text)?);
        }
        for (name, keys) in said {
            self.families.entry(name).or_default().take(keys);
        }
        Ok(file.dated)
    }

    /// The profile of each family, sorted by name, and of models of none.
    pub(super) fn compile(&self) -> Result<(Vec<(String, Profile)>, Profile)> {
        let default = self.default.over(Profile::BARE);
        let profile = |name: &String| Ok((name.clone(), self.profile(name, default)?));
        let families: Result<Vec<_>> = self.families.keys().map(profile).collect();
        Ok((families?, default))
    }

    /// The keys of a family over those of the family that it extends.
    fn profile(&self, name: &str, default: Profile) -> Result<Profile> {
        let mut steps = Vec::new();
        let mut at = Some(name);
        let mut like = None;
        while let Some(name) = at {
            let Some(keys) = self.families.get(name) else {
                break;
            };
            steps.push(keys);
            like = keys.like.as_ref().or(like);
            if steps.len() > MOST_STEPS {
                let reason = "like: it goes round, or on and on";
                return Err(like.map_or_else(
                    || Error::config("like", reason),
                    |like| like.place.wrong("like", reason),
                ));
            }
            at = match &keys.like {
                None => self.shorter(name),
                Some(like) => {
                    let name = Name::of(&like.model);
                    let of = self.families.get_key_value(name.text());
                    let of = of.map(|(name, _)| name.as_str());
                    let found = of.or_else(|| {
                        let (name, _) = self.families.get_key_value(self.shorter(name.text())?)?;
                        Some(name.as_str())
                    });
                    let reason = format!("like: {:?} is of no family", like.model);
                    Some(found.ok_or_else(|| like.place.wrong("like", &reason))?)
                }
            };
        }
        let laid = |profile, keys: &&Keys| keys.over(profile);
        Ok(steps.iter().rev().fold(default, laid))
    }

    /// The longest family that a name belongs to and that is not the name.
    fn shorter<'a>(&self, name: &'a str) -> Option<&'a str> {
        let lengths = (1..name.len()).rev();
        let beginnings = lengths.filter_map(|length| name.get(..length));
        let mut families = beginnings
            .filter(|beginning| belongs(name.as_bytes(), beginning.as_bytes()))
            .filter(|beginning| self.families.contains_key(*beginning));
        families.next()
    }
}

impl Keys {
    /// Takes what the other says; what it does not say stays.
    fn take(&mut self, other: Self) {
        let Self {
            like,
            encoding,
            message,
            tools,
            schema,
            image,
            audio,
            files,
        } = other;
        self.like = like.or(self.like.take());
        self.encoding = encoding.or(self.encoding);
        self.message = message.or(self.message);
        self.tools = tools.or(self.tools);
        self.schema = schema.or(self.schema);
        self.image = image.or(self.image);
        self.audio = audio.or(self.audio);
        self.files = files.or(self.files);
    }

    fn over(&self, profile: Profile) -> Profile {
        Profile {
            encoding: self.encoding.unwrap_or(profile.encoding),
            message: self.message.unwrap_or(profile.message),
            tools: self.tools.unwrap_or(profile.tools),
            schema: self.schema.unwrap_or(profile.schema),
            image: self.image.unwrap_or(profile.image),
            audio: self.audio.unwrap_or(profile.audio),
            files: self.files.unwrap_or(profile.files),
        }
    }

    /// A key that both have.
    fn both(&self, other: &Self) -> Option<&'static str> {
        let pairs = [
            ("like", self.like.is_some() && other.like.is_some()),
            (
                "encoding",
                self.encoding.is_some() && other.encoding.is_some(),
            ),
            ("message", self.message.is_some() && other.message.is_some()),
            ("tools", self.tools.is_some() && other.tools.is_some()),
            ("schema", self.schema.is_some() && other.schema.is_some()),
            (
                "tiles or patches",
                self.image.is_some() && other.image.is_some(),
            ),
            ("audio", self.audio.is_some() && other.audio.is_some()),
            ("files", self.files.is_some() && other.files.is_some()),
        ];
        let found = pairs.into_iter().find(|(_, both)| *both);
        found.map(|(key, _)| key)
    }
}

/// Adds what a file says of one family to what it has said of it before.
fn add(
    said: &mut BTreeMap<String, Keys>,
    name: &Spanned<String>,
    keys: Keys,
    text: &str,
) -> Result<()> {
    let written = name.get_ref();
    let wrong = |reason: &str| {
        let place = Place::of(text, name.span().start);
        place.wrong(written, &format!("{written:?}: {reason}"))
    };
    let lower = written.to_ascii_lowercase();
    let is_bare = Name::of(&lower).text() == lower && !lower.is_empty() && lower.len() < MOST;
    if !is_bare {
        let reason = format!(
            "a family's name has no provider and no colon in it, and fewer than {MOST} bytes"
        );
        return Err(wrong(&reason));
    }
    match said.entry(lower) {
        Slot::Vacant(slot) => {
            slot.insert(keys);
        }
        Slot::Occupied(mut slot) => {
            if let Some(key) = slot.get().both(&keys) {
                return Err(wrong(&format!("its {key} is said twice")));
            }
            slot.get_mut().take(keys);
        }
    }
    Ok(())
}
