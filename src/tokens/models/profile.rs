//! What is counted how, for one model.

use std::num::NonZeroU32;

use serde::Deserialize;

use super::super::Encoding;
use super::super::image::{Detail, Image};

/// What is counted how, for one model: its encoding, the overhead of the chat format, and what tools,
/// images, sounds and files count as. Comes from a [`ModelTable`](super::ModelTable).
///
/// ```
/// use paceline::tokens::{Detail, Encoding, ModelTable};
///
/// let profile = ModelTable::global().profile("azure/gpt-4o-2024-11-20");
/// assert_eq!(profile.encoding(), Encoding::O200kBase);
/// assert_eq!(profile.image_tokens(1_024, 1_024, Detail::High), 765);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    pub(in crate::tokens) encoding: Encoding,
    pub(in crate::tokens) message: MessageFormat,
    pub(in crate::tokens) tools: ToolFormat,
    pub(in crate::tokens) schema: u32,
    pub(in crate::tokens) image: Image,
    pub(in crate::tokens) audio: AudioRate,
    pub(in crate::tokens) files: FileSize,
}

impl Profile {
    /// Counts text and nothing else. What the built-in table has no word for would be as here.
    pub(super) const BARE: Self = Self {
        encoding: Encoding::Cl100kBase,
        message: MessageFormat {
            each: 0,
            name: 0,
            reply: 0,
        },
        tools: ToolFormat {
            each: 0,
            properties: 0,
            property: 0,
            choices: 0,
            choice: 0,
            all: 0,
        },
        schema: 0,
        image: Image::NONE,
        audio: AudioRate {
            per_second: 0,
            bytes_per_second: NonZeroU32::MIN,
            unknown: 0,
        },
        files: FileSize {
            bytes_per_page: NonZeroU32::MIN,
            page: 0,
            bytes_per_token: NonZeroU32::MIN,
            unknown: 0,
        },
    };

    /// What text is counted in.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The tokens of an image of this size in pixels. `detail` is what the request asks for; without
    /// a word it is [`Detail::Auto`].
    ///
    /// By tiles or patches, as the provider's guide "Images and vision" has it for the model. Where
    /// the provider chooses, the larger of what it may choose.
    #[must_use]
    pub fn image_tokens(&self, width: u32, height: u32, detail: Detail) -> u64 {
        self.image.tokens(Some((width, height)), detail)
    }

    /// The most that an image of any size counts as: what one counts as whose size is not known.
    #[must_use]
    pub fn most_image_tokens(&self, detail: Detail) -> u64 {
        self.image.tokens(None, detail)
    }
}

/// Tokens that frame messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tokens) struct MessageFormat {
    /// Of each message.
    pub(in crate::tokens) each: i32,
    /// Of a message's name, besides its text.
    pub(in crate::tokens) name: i32,
    /// That begin the answer.
    pub(in crate::tokens) reply: i32,
}

/// Tokens that frame the definitions of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tokens) struct ToolFormat {
    /// Of each function.
    pub(in crate::tokens) each: i32,
    /// Of an object that has properties.
    pub(in crate::tokens) properties: i32,
    /// Of each property.
    pub(in crate::tokens) property: i32,
    /// Of a list of choices (`enum`), and of each of them.
    pub(in crate::tokens) choices: i32,
    pub(in crate::tokens) choice: i32,
    /// Once, after all functions.
    pub(in crate::tokens) all: i32,
}

/// What a sound counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tokens) struct AudioRate {
    /// Tokens of one second.
    pub(in crate::tokens) per_second: u32,
    /// Bytes of one second, where the format does not tell.
    pub(in crate::tokens) bytes_per_second: NonZeroU32,
    /// Tokens of a sound that is not in the request.
    pub(in crate::tokens) unknown: u32,
}

/// What a file counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tokens) struct FileSize {
    /// Bytes of a page of a PDF.
    pub(in crate::tokens) bytes_per_page: NonZeroU32,
    /// Tokens of a page's text. Its image comes on top.
    pub(in crate::tokens) page: u32,
    /// Bytes of a token of anything else.
    pub(in crate::tokens) bytes_per_token: NonZeroU32,
    /// Tokens of a file that is not in the request.
    pub(in crate::tokens) unknown: u32,
}
