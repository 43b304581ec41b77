//! What a sound of a request counts as: its length, times the tokens of a second.

use serde_json::{Map, Value};

use super::base64::{Decoded, length};
use super::models::AudioRate;

/// Bytes of a second in formats that have no header and one rate: 24 kHz with 16 bits, and telephone.
const HEADERLESS: [(&str, u64); 3] = [
    ("pcm16", 48_000),
    ("g711_ulaw", 8_000),
    ("g711_alaw", 8_000),
];

/// The tokens of a part that holds a sound; [`AudioRate::unknown`] for one that is elsewhere.
pub(super) fn part(rate: AudioRate, part: &Map<String, Value>) -> u64 {
    let inner = ["input_audio", "audio", "output_audio", "source"]
        .iter()
        .find_map(|name| part.get(*name)?.as_object());
    let fields = inner.unwrap_or(part);
    let word = |name| fields.get(name).and_then(Value::as_str);
    match word("data").filter(|data| !data.is_empty()) {
        Some(data) => {
            let base64 = super::base64::data_url(data).map_or(data, |(_, base64)| base64);
            self::data(rate, base64, word("format").unwrap_or_default())
        }
        None => rate.unknown.into(),
    }
}

/// The tokens of a sound in Base64.
pub(super) fn data(rate: AudioRate, base64: &str, format: &str) -> u64 {
    let bytes = length(base64);
    // A sound and how much of it is one second, in the same measure.
    let (amount, second) = wav(base64, bytes)
        .or_else(|| mp3(base64, bytes))
        .unwrap_or_else(|| {
            let found = HEADERLESS.iter().find(|(name, _)| *name == format);
            let second = found.map_or(rate.bytes_per_second.get().into(), |(_, second)| *second);
            (bytes, second)
        });
    let tokens = u128::from(amount) * u128::from(rate.per_second);
    let tokens = tokens.div_ceil(u128::from(second.max(1)));
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

/// The bytes of the samples and those of a second, as a WAV file's header says. A header that was
/// written before its end was known says too much, or 0; then it is all that follows.
fn wav(base64: &str, bytes: u64) -> Option<(u64, u64)> {
    let mut data = Decoded::of(base64);
    if take(&mut data)? != *b"RIFF" {
        return None;
    }
    let _length: [u8; 4] = take(&mut data)?;
    if take(&mut data)? != *b"WAVE" {
        return None;
    }
    let (mut read, mut second) = (12_u64, None);
    loop {
        let name: [u8; 4] = take(&mut data)?;
        let length = u32::from_le_bytes(take(&mut data)?);
        read += 8;
        let mut rest = u64::from(length) + u64::from(length % 2);
        match &name {
            b"fmt " => {
                let _format_channels_rate: [u8; 8] = take(&mut data)?;
                second = Some(u32::from_le_bytes(take(&mut data)?)).filter(|rate| *rate > 0);
                rest = rest.checked_sub(12)?;
                read += 12;
            }
            b"data" => {
                let follows = bytes.saturating_sub(read);
                let says = u64::from(length);
                let samples = if (1..=follows).contains(&says) {
                    says
                } else {
                    follows
                };
                return Some((samples, second?.into()));
            }
            _ => {}
        }
        if let Some(last) = usize::try_from(rest).ok()?.checked_sub(1) {
            data.nth(last)?;
        }
        read += rest;
    }
}

/// Kilobits of a second by the number in a frame's header: of MPEG 1, and of 2 and 2.5, layer 3.
const KILOBITS: [[u16; 16]; 2] = [
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0,
    ],
    [
        0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0,
    ],
];

/// Of an MP3 its samples and those of a second, where its first frame says how many frames there are;
/// else its bytes and those of a second, by the rate of its first frame.
fn mp3(base64: &str, bytes: u64) -> Option<(u64, u64)> {
    let mut data = Decoded::of(base64);
    let mut head: [u8; 4] = take(&mut data)?;
    let mut before = 0;
    if head.starts_with(b"ID3") {
        let [_, _, size @ ..]: [u8; 6] = take(&mut data)?;
        let size = size
            .iter()
            .fold(0_u64, |size, byte| size << 7 | u64::from(byte & 0x7f));
        if let Some(last) = usize::try_from(size).ok()?.checked_sub(1) {
            data.nth(last)?;
        }
        before = size + 10;
        head = take(&mut data)?;
    }
    let [sync, kind, rates, channels] = head;
    // Eleven bits of 1, then the version (1 is reserved), then the layer, of which 1 is the third.
    let version = kind >> 3 & 3;
    if sync != 0xff || kind & 0xe0 != 0xe0 || version == 1 || kind >> 1 & 3 != 1 {
        return None;
    }
    let is_first = version == 3;
    let by_number = KILOBITS.get(usize::from(!is_first))?;
    let kilobits = u64::from(*by_number.get(usize::from(rates >> 4))?);
    let hertz: u64 = *[44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 3))?;
    let hertz = match version {
        3 => hertz,
        2 => hertz / 2,
        _ => hertz / 4,
    };
    let (samples, side) = match (is_first, channels >> 6 == 3) {
        (true, false) => (1_152, 32),
        (true, true) => (1_152, 17),
        (false, false) => (576, 17),
        (false, true) => (576, 9),
    };
    // Empty side information, and then what a program wrote of the whole.
    let frames = data.nth(side - 1).and_then(|_| {
        let name: [u8; 4] = take(&mut data)?;
        let flags = u32::from_be_bytes(take(&mut data)?);
        let frames = u32::from_be_bytes(take(&mut data)?);
        let is_said = matches!(&name, b"Xing" | b"Info") && flags & 1 == 1 && frames > 0;
        is_said.then_some(u64::from(frames))
    });
    match (frames, kilobits) {
        (Some(frames), _) => Some((frames * samples, hertz)),
        (None, 0) => None,
        (None, kilobits) => Some((bytes.saturating_sub(before), kilobits * 125)),
    }
}

fn take<const N: usize>(data: &mut Decoded<'_>) -> Option<[u8; N]> {
    let mut taken = [0; N];
    for byte in &mut taken {
        *byte = data.next()?;
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::ModelTable;
    use crate::tokens::base64::encoded;
    use proptest::prelude::*;
    use serde_json::json;

    fn rate() -> AudioRate {
        ModelTable::global().profile("gpt-4o-audio-preview").audio
    }

    /// `says` is what its header has for the length of the samples.
    fn wav_of(second: u32, samples: usize, says: u32, before: &[u8]) -> Vec<u8> {
        let format = [
            &[1, 0, 1, 0][..],
            &16_000_u32.to_le_bytes(),
            &second.to_le_bytes(),
            &[2, 0, 16, 0],
        ];
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        bytes.extend(format.concat());
        bytes.extend(before);
        bytes.extend(b"data");
        bytes.extend(says.to_le_bytes());
        bytes.extend(vec![0; samples]);
        bytes
    }

    fn mp3_of(head: [u8; 4], behind: &[u8], length: usize) -> Vec<u8> {
        let mut bytes = [&head[..], behind].concat();
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn sounds_last_as_long_as_their_headers_say() {
        // Two seconds are 20 tokens.
        let list = b"LIST\x05\0\0\0INFO!\0"; // its length is odd, so a byte follows
        let id3 = [b"ID3\x04\0\0\0\0\x01\0", &[0; 128][..]].concat();
        let frame = [0xff, 0xfb, 0x50, 0x00]; // MPEG 1, 64 kbit/s, 44.1 kHz, stereo
        let mut frames = vec![0; 32];
        frames.extend(b"Xing\0\0\0\x01\0\0\0\x4d"); // 77 frames are 2.01 s
        let table = [
            ("WAV", wav_of(32_000, 64_000, 64_000, b""), "wav", 20),
            (
                "WAV, more in it",
                wav_of(32_000, 64_000, 64_000, list),
                "wav",
                20,
            ),
            (
                "WAV, streamed",
                wav_of(32_000, 64_000, u32::MAX, b""),
                "wav",
                20,
            ),
            ("WAV, no length", wav_of(32_000, 64_000, 0, b""), "wav", 20),
            (
                "WAV, a part",
                wav_of(32_000, 64_000, 32_000, b""),
                "wav",
                10,
            ),
            ("MP3", mp3_of(frame, b"", 16_000), "mp3", 20),
            (
                "MP3, tagged",
                [id3, mp3_of(frame, b"", 16_000)].concat(),
                "mp3",
                20,
            ),
            ("MP3, frames", mp3_of(frame, &frames, 999), "mp3", 21),
            (
                "MP3, MPEG 2",
                mp3_of([0xff, 0xf3, 0x40, 0xc0], b"", 8_000),
                "mp3",
                20,
            ),
            ("samples", vec![0; 96_000], "pcm16", 20),
            ("telephone", vec![0; 16_000], "g711_ulaw", 20),
            ("unknown", vec![7; 4_000], "opus", 20),
            ("unknown", vec![7; 4_000], "", 20),
            ("a bit", vec![7; 1], "opus", 1),
        ];
        for (step, (name, bytes, format, tokens)) in table.into_iter().enumerate() {
            let text = encoded(&bytes);
            let found = data(rate(), &text, format);
            assert_eq!(found, tokens, "step {step}: {name}");
            let part_of = json!({ "input_audio": { "data": text, "format": format } });
            assert_eq!(
                part(rate(), part_of.as_object().unwrap()),
                tokens,
                "step {step}"
            );
        }
    }

    #[test]
    fn a_sound_that_is_not_there_counts_as_the_table_says() {
        let unknown = u64::from(rate().unknown);
        assert!(unknown > 0);
        for body in [
            json!({}),
            json!({ "audio": { "id": "a" } }),
            json!({ "input_audio": { "data": "" } }),
        ] {
            assert_eq!(part(rate(), body.as_object().unwrap()), unknown, "{body}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_sound_is_measured_without_a_panic(
            beginning in prop::sample::select(vec![
                vec![], wav_of(0, 9, 9, b""), wav_of(1, 9, 99, b"LIST\xff\xff\xff\xff"), b"RIFF".to_vec(),
                mp3_of([0xff, 0xfb, 0x50, 0], b"", 40), b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(),
            ]),
            cut in 0..60_usize,
            noise in prop::collection::vec(any::<u8>(), 0..100),
            damage in any::<(prop::sample::Index, u8)>(),
        ) {
            let mut bytes = beginning;
            bytes.truncate(cut);
            bytes.extend(noise);
            if !bytes.is_empty() {
                let at = damage.0.index(bytes.len());
                bytes[at] = damage.1;
            }
            let _ = data(rate(), &encoded(&bytes), "wav");
        }
    }
}
