//! The size of an image from its first bytes: PNG, JPEG, GIF and WebP, the formats that the API takes.
//! No picture is decoded.

/// Width and height in pixels, if the bytes begin an image of one of these formats. Reads no further than
/// it has to: of a JPEG up to its frame header, which may come after long comments and previews.
pub(super) fn size(bytes: impl Iterator<Item = u8>) -> Option<(u32, u32)> {
    let mut bytes = Bytes(bytes);
    let size = match bytes.take()? {
        [0x89, b'P'] => png(&mut bytes),
        [0xff, 0xd8] => jpeg(&mut bytes),
        [b'G', b'I'] => gif(&mut bytes),
        [b'R', b'I'] => webp(&mut bytes),
        _ => None,
    };
    size.filter(|(width, height)| *width > 0 && *height > 0)
}

struct Bytes<I>(I);

impl<I: Iterator<Item = u8>> Bytes<I> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut taken = [0; N];
        for byte in &mut taken {
            *byte = self.0.next()?;
        }
        Some(taken)
    }

    /// `None` when fewer than `count` are left.
    fn skip(&mut self, count: usize) -> Option<()> {
        match count.checked_sub(1) {
            None => Some(()),
            Some(last) => self.0.nth(last).map(drop),
        }
    }
}

/// A signature, then chunks, of which the first is the header, or the second one in Apple's variant.
fn png(bytes: &mut Bytes<impl Iterator<Item = u8>>) -> Option<(u32, u32)> {
    if bytes.take()? != *b"NG\r\n\x1a\n" {
        return None;
    }
    loop {
        let length = u32::from_be_bytes(bytes.take()?);
        if bytes.take()? == *b"IHDR" {
            let width = u32::from_be_bytes(bytes.take()?);
            return Some((width, u32::from_be_bytes(bytes.take()?)));
        }
        const CHECKSUM: usize = 4;
        bytes.skip(usize::try_from(length).ok()?.checked_add(CHECKSUM)?)?;
    }
}

/// Segments, each with a marker and most with a length, up to a frame header.
fn jpeg(bytes: &mut Bytes<impl Iterator<Item = u8>>) -> Option<(u32, u32)> {
    loop {
        let [mut marker] = bytes.take()?;
        if marker != 0xff {
            return None;
        }
        while marker == 0xff {
            [marker] = bytes.take()?; // any number of them may stand before a marker
        }
        match marker {
            // Frame headers of all kinds: length, bits, height, width. Not tables, and not the
            // number of lines at the end, to which a height of 0 refers.
            0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker) => {
                bytes.skip(3)?;
                let height = u16::from_be_bytes(bytes.take()?);
                let width = u16::from_be_bytes(bytes.take()?);
                return Some((width.into(), height.into()));
            }
            // Without a length.
            0x01 | 0xd0..=0xd7 => {}
            // The picture begins or ends, and no frame header came.
            0x00 | 0xd8..=0xda => return None,
            _ => {
                let length = u16::from_be_bytes(bytes.take()?);
                bytes.skip(usize::from(length).checked_sub(2)?)?;
            }
        }
    }
}

fn gif(bytes: &mut Bytes<impl Iterator<Item = u8>>) -> Option<(u32, u32)> {
    if !matches!(&bytes.take()?, b"F87a" | b"F89a") {
        return None;
    }
    let width = u16::from_le_bytes(bytes.take()?);
    let height = u16::from_le_bytes(bytes.take()?);
    Some((width.into(), height.into()))
}

/// A container, whose first chunk is one of three.
fn webp(bytes: &mut Bytes<impl Iterator<Item = u8>>) -> Option<(u32, u32)> {
    let [f1, f2, _, _, _, _, name @ ..]: [u8; 10] = bytes.take()?;
    if [f1, f2] != *b"FF" || name != *b"WEBP" {
        return None;
    }
    let chunk: [u8; 4] = bytes.take()?;
    bytes.skip(4)?; // its length
    match &chunk {
        // Lossy: three bytes of a frame, a start code, and 14 bits each.
        b"VP8 " => {
            bytes.skip(3)?;
            if bytes.take()? != [0x9d, 0x01, 0x2a] {
                return None;
            }
            let width = u16::from_le_bytes(bytes.take()?) & 0x3fff;
            let height = u16::from_le_bytes(bytes.take()?) & 0x3fff;
            Some((width.into(), height.into()))
        }
        // Lossless: a signature, and 14 bits each, of one less.
        b"VP8L" => {
            if bytes.take()? != [0x2f] {
                return None;
            }
            let bits = u32::from_le_bytes(bytes.take()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        // With more than a picture in it: four bytes of flags, and 24 bits each, of one less.
        b"VP8X" => {
            bytes.skip(4)?;
            let [w1, w2, w3, h1, h2, h3] = bytes.take()?;
            let width = u32::from_le_bytes([w1, w2, w3, 0]) + 1;
            Some((width, u32::from_le_bytes([h1, h2, h3, 0]) + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> Option<(u32, u32)> {
        size(bytes.iter().copied())
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
        [&header[..], &width.to_be_bytes(), &height.to_be_bytes()].concat()
    }

    fn gif(width: u16, height: u16) -> Vec<u8> {
        [b"GIF89a", &width.to_le_bytes()[..], &height.to_le_bytes()].concat()
    }

    /// A JPEG with these segments before a frame header with this marker.
    fn jpeg(segments: &[(u8, usize)], frame: u8, width: u16, height: u16) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        for (marker, length) in segments {
            bytes.extend([0xff, *marker]);
            let with_itself = u16::try_from(*length + 2).unwrap();
            bytes.extend(with_itself.to_be_bytes());
            // A preview inside, whose own frame header must not be taken.
            bytes.extend(
                [0xff, 0xc0, 0, 17, 8, 0, 9, 0, 9]
                    .iter()
                    .cycle()
                    .take(*length),
            );
        }
        bytes.extend([0xff, 0xff, frame, 0, 17, 8]);
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes
    }

    fn webp(chunk: &[u8; 4], data: &[u8]) -> Vec<u8> {
        [b"RIFF\x10\0\0\0WEBP", &chunk[..], b"\x0a\0\0\0", data].concat()
    }

    fn lossless(width: u32, height: u32) -> Vec<u8> {
        let bits = (width - 1) | (height - 1) << 14;
        webp(b"VP8L", &[&[0x2f], &bits.to_le_bytes()[..]].concat())
    }

    fn extended(width: u32, height: u32) -> Vec<u8> {
        let [w1, w2, w3, _] = (width - 1).to_le_bytes();
        let [h1, h2, h3, _] = (height - 1).to_le_bytes();
        webp(b"VP8X", &[0x10, 0, 0, 0, w1, w2, w3, h1, h2, h3])
    }

    fn every_format() -> Vec<(&'static str, Vec<u8>, (u32, u32))> {
        let lossy = [0x9d, 0x01, 0x2a, 0x00, 0x44, 0x58, 0x02];
        let exif = [(0xe1, 65_533), (0xe2, 65_533), (0xe2, 40_000), (0xfe, 0)];
        let apple =
            b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x02sum!\0\0\0\x0dIHDR\0\0\0\x07\0\0\0\x09";
        vec![
            ("PNG", png(1_800, 2_400), (1_800, 2_400)),
            ("PNG, huge", png(u32::MAX, 1), (u32::MAX, 1)),
            ("PNG, Apple's", apple.to_vec(), (7, 9)),
            ("GIF", gif(320, 65_535), (320, 65_535)),
            (
                "JPEG",
                jpeg(&[(0xe0, 14), (0xdb, 65)], 0xc0, 640, 480),
                (640, 480),
            ),
            (
                "JPEG, progressive",
                jpeg(&[(0xe0, 14)], 0xc2, 4_000, 3_000),
                (4_000, 3_000),
            ),
            (
                "JPEG, EXIF",
                jpeg(&exif, 0xc0, 4_032, 3_024),
                (4_032, 3_024),
            ),
            (
                "JPEG, tables first",
                jpeg(&[(0xc4, 100), (0xcc, 9)], 0xc1, 5, 6),
                (5, 6),
            ),
            // The two upper bits are a scale.
            (
                "WebP, lossy",
                webp(b"VP8 ", &[&[0, 0, 0], &lossy[..]].concat()),
                (1_024, 600),
            ),
            ("WebP, lossless", lossless(16_384, 1), (16_384, 1)),
            ("WebP, extended", extended(1 << 24, 3), (1 << 24, 3)),
        ]
    }

    #[test]
    fn sizes_of_every_format_are_read() {
        for (name, bytes, expected) in every_format() {
            assert_eq!(of(&bytes), Some(expected), "{name}");
        }
    }

    /// The smallest files that programs write, whole, as they are.
    #[test]
    fn sizes_of_real_files_are_read() {
        use crate::tokens::base64::Decoded;
        let table = [
            (
                "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
                (1, 1),
            ),
            (
                "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
                (1, 1),
            ),
            (
                "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA",
                (1, 1),
            ),
            ("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==", (1, 1)),
            (
                "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA=",
                (1, 1),
            ),
        ];
        for (step, (text, expected)) in table.into_iter().enumerate() {
            assert_eq!(size(Decoded::of(text)), Some(expected), "step {step}");
        }
    }

    #[test]
    fn what_is_cut_off_or_empty_or_none_has_no_size() {
        for (name, bytes, _) in every_format() {
            for end in 0..bytes.len() {
                assert_eq!(of(&bytes[..end]), None, "{name}: {end} of {}", bytes.len());
            }
        }
        let table = [
            png(0, 5),
            png(5, 0),
            gif(0, 5),
            jpeg(&[], 0xc0, 5, 0), // its number of lines comes at its end
            jpeg(&[(0xda, 10)], 0xc0, 5, 5),
            webp(b"VP8 ", &[0, 0, 0, 0x9d, 0x01, 0x2b, 1, 0, 1, 0]),
            webp(b"VP8L", &[0x30, 0, 0, 0, 0]),
            webp(b"ALPH", &[0; 20]),
            // A length that is less than itself.
            [&[0xff, 0xd8, 0xff, 0xe1, 0, 1], &jpeg(&[], 0xc0, 5, 5)[2..]].concat(),
            vec![0xff, 0xd8, 0x00, 0xff, 0xc0, 0, 17, 8, 0, 5, 0, 5],
            b"GIF88a\x05\0\x05\0".to_vec(),
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec(),
            b"BM".to_vec(),
            b"<svg width='5' height='5'/>".to_vec(),
        ];
        for (step, bytes) in table.into_iter().enumerate() {
            assert_eq!(of(&bytes), None, "step {step}: {bytes:?}");
        }
    }

    /// Every kind of beginning, and anything behind it.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let headers: Vec<Vec<u8>> = every_format().into_iter().map(|it| it.1).collect();
        let header = prop::sample::select(headers);
        let noise = prop::collection::vec(any::<u8>(), 0..300);
        let damaged = (header.clone(), any::<prop::sample::Index>(), any::<u8>());
        let damaged = damaged.prop_map(|(mut bytes, at, byte)| {
            let at = at.index(bytes.len().min(300));
            bytes[at] = byte;
            bytes
        });
        let cut = (header, 0..300_usize, noise.clone());
        let cut = cut.prop_map(|(mut bytes, end, noise)| {
            bytes.truncate(end);
            bytes.extend(noise);
            bytes
        });
        prop_oneof![noise, damaged, cut]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_without_a_panic_and_no_byte_twice(bytes in bytes()) {
            let mut read = 0;
            let found = size(bytes.iter().copied().inspect(|_| read += 1));
            prop_assert!(read <= bytes.len());
            if let Some((width, height)) = found {
                prop_assert!(width > 0 && height > 0);
            }
        }
    }
}
