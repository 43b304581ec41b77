//! The tokens of an image by its size: tiles and patches, as the provider's guide "Images and vision"
//! describes them, in whole numbers.

use std::num::NonZeroU32;

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

/// How closely a model is to look at an image: the `detail` of a request.
///
/// ```
/// use paceline::tokens::Detail;
///
/// assert_eq!(Detail::default(), Detail::Auto);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Detail {
    /// At a small version of it.
    Low,
    /// At a version that fits a budget.
    High,
    /// At the image as it is, up to a large budget.
    Original,
    /// As the provider chooses. The default; taken for the larger of what it may choose.
    #[default]
    Auto,
}

impl Detail {
    /// That of a request. What is not a word that the API knows is [`Detail::Auto`].
    pub(super) fn named(name: &str) -> Self {
        match name {
            "low" => Self::Low,
            "high" => Self::High,
            "original" => Self::Original,
            _ => Self::Auto,
        }
    }
}

/// How a model takes images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tokens) enum Image {
    Tiles(Tiles),
    Patches(Patches),
}

/// Squares of 512 pixels, after making the image smaller, and a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tokens) struct Tiles {
    /// Tokens of any image: of one with low detail all that there are.
    base: u32,
    /// Tokens of each tile.
    each: u32,
    /// Pixels of the square that it is first made to fit.
    side: NonZeroU32,
    /// Pixels of the shorter side that it is then made to fit.
    short: NonZeroU32,
}

/// Squares of 32 pixels, of which there is a budget, and a multiplier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::tokens) struct Patches {
    multiplier: Multiplier,
    high: Budget,
    /// By default as `high`.
    original: Option<Budget>,
    /// By default as `high`.
    low: Option<Budget>,
    /// What `auto` is taken to be: by default `high`.
    auto: Option<Detail>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// Patches, at most.
    budget: NonZeroU32,
    /// Pixels of the longer side, at most.
    side: NonZeroU32,
}

const TILE: u64 = 512;
const PATCH: u64 = 32;

impl Image {
    /// No image counts anything.
    pub(in crate::tokens) const NONE: Self = Self::Tiles(Tiles {
        base: 0,
        each: 0,
        side: NonZeroU32::MIN,
        short: NonZeroU32::MIN,
    });

    /// The tokens of an image of this width and height; without them, or where one of them is 0, the
    /// most that an image of any size has.
    pub(in crate::tokens) fn tokens(&self, size: Option<(u32, u32)>, detail: Detail) -> u64 {
        let size = size
            .map(|(width, height)| (u64::from(width), u64::from(height)))
            .filter(|(width, height)| *width > 0 && *height > 0);
        match self {
            Self::Tiles(tiles) => tiles.tokens(size, detail),
            Self::Patches(patches) => patches.tokens(size, detail),
        }
    }
}

impl Tiles {
    fn tokens(&self, size: Option<(u64, u64)>, detail: Detail) -> u64 {
        let base = u64::from(self.base);
        if detail == Detail::Low {
            return base;
        }
        let (side, short) = (u64::from(self.side.get()), u64::from(self.short.get()));
        let tiles = match size {
            None => side.div_ceil(TILE) * short.min(side).div_ceil(TILE),
            Some((width, height)) => {
                let (longest, shortest) = (width.max(height), width.min(height));
                // Sides as fractions, `longest · up / down`, so that nothing is rounded before the
                // tiles are counted. First it is made to fit the square, then by its shorter side.
                let (mut up, mut down) = (1, 1);
                if longest > side {
                    (up, down) = (side, longest);
                }
                if shortest * up > short * down {
                    (up, down) = (short, shortest);
                }
                let tiles = |pixels: u64| (pixels * up).div_ceil(down * TILE);
                tiles(longest) * tiles(shortest)
            }
        };
        base.saturating_add(u64::from(self.each).saturating_mul(tiles))
    }
}

impl Patches {
    fn tokens(&self, size: Option<(u64, u64)>, detail: Detail) -> u64 {
        let detail = match detail {
            Detail::Auto => self.auto.unwrap_or(Detail::High),
            said => said,
        };
        let budget = match detail {
            Detail::Low => self.low,
            Detail::Original => self.original,
            Detail::High | Detail::Auto => None,
        };
        let budget = budget.unwrap_or(self.high);
        let patches = match size {
            None => u64::from(budget.budget.get()),
            Some((width, height)) => budget.patches(width, height),
        };
        self.multiplier.times(patches)
    }
}

impl Budget {
    /// How many patches cover the image, after it is made to fit.
    ///
    /// The guide makes an image with too many patches smaller by √(32² · budget ÷ (width · height)),
    /// and then by as much more as makes the patches of one side whole. The first leaves
    /// √(budget · width ÷ height) patches in a row, of which the second keeps the whole ones, or
    /// those of a column, whichever takes more away. So the result is exact in whole numbers.
    fn patches(&self, width: u64, height: u64) -> u64 {
        let (budget, side) = (u64::from(self.budget.get()), u64::from(self.side.get()));
        let longest = width.max(height);
        let (up, down) = match longest > side {
            true => (side, longest),
            false => (1, 1),
        };
        let fitting = |pixels: u64| (pixels * up).div_ceil(down * PATCH);
        let patches = fitting(width) * fitting(height);
        if patches <= budget {
            return patches;
        }
        let row = (budget * width / height).isqrt();
        let column = (budget * height / width).isqrt();
        let patches = match row * height <= column * width {
            true => row * (row * height).div_ceil(width),
            false => column * (column * width).div_ceil(height),
        };
        // One side of less than a patch: no whole ones are left, and the guide is silent.
        if patches == 0 {
            budget
        } else {
            patches.min(budget)
        }
    }
}

/// Ten-thousandths: a double does not hold a number such as 1.62 exactly, and the product is rounded
/// up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Multiplier(u32);

impl Multiplier {
    const ONE: u32 = 10_000;
    const MOST: f64 = 1_000.0;

    fn times(self, patches: u64) -> u64 {
        let product = patches.saturating_mul(u64::from(self.0));
        product.div_ceil(u64::from(Self::ONE))
    }
}

impl<'de> Deserialize<'de> for Multiplier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Multiplier;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number such as 1.62, at most 1000 and with at most four decimals")
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and ten million, and whole"
    )]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Multiplier, E> {
        let parts = (number * f64::from(Multiplier::ONE)).round();
        let is_exact = (parts / f64::from(Multiplier::ONE) - number).abs() < 1e-9;
        let fits = number > 0.0 && number <= Multiplier::MOST && is_exact;
        match fits && parts >= 1.0 {
            true => Ok(Multiplier(parts as u32)),
            false => Err(E::invalid_value(Unexpected::Float(number), &self)),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "what is large is refused")]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Multiplier, E> {
        self.visit_f64(number as f64)
    }
}
