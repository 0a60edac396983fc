//! Decoding icon files to square images of the size wanted.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg;

/// The largest icon file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// The largest side of a PNG icon, in pixels. A bigger one is refused before it is decoded.
const MAX_SIDE: u32 = 4096;

/// A square image, rows from the top, four bytes per pixel: red, green, blue, alpha, colour premultiplied by alpha.
#[derive(Clone, PartialEq, Eq)]
pub struct IconImage {
    /// Width and height in pixels.
    pub side: usize,
    /// `4 * side * side` bytes.
    pub rgba_premultiplied: Vec<u8>,
}

impl std::fmt::Debug for IconImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IconImage").field("side", &self.side).finish_non_exhaustive()
    }
}

/// Why an icon could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum IconError {
    /// The file cannot be read.
    #[error("cannot read the icon: {0}")]
    Read(#[from] std::io::Error),
    /// The file is larger than any icon.
    #[error("the icon is too large")]
    TooLarge,
    /// The file is neither PNG nor SVG, or is damaged.
    #[error("the icon is damaged or of an unknown format")]
    Format,
}

/// Reads a PNG or SVG file and fits it into a square of `side` pixels, keeping its proportions.
///
/// # Errors
/// When the file cannot be read, is too large, or is no image: see [`IconError`].
pub fn load(path: &Path, side: u32) -> Result<IconImage, IconError> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(IconError::TooLarge);
    }
    decode(&bytes, side)
}

/// As [`load`], from bytes.
///
/// # Errors
/// As [`load`].
pub fn decode(bytes: &[u8], side: u32) -> Result<IconImage, IconError> {
    let side = side.clamp(1, MAX_SIDE);
    let pixmap =
        if bytes.starts_with(b"\x89PNG") { decode_png(bytes, side)? } else { draw_svg(bytes, side)? };
    Ok(IconImage { side: side as usize, rgba_premultiplied: pixmap.take() })
}

fn draw_svg(bytes: &[u8], side: u32) -> Result<Pixmap, IconError> {
    let mut options = usvg::Options::default();
    // An icon is one file: it may carry images inside, but not name files of the user.
    options.image_href_resolver.resolve_string = Box::new(|_, _| None);
    let tree = usvg::Tree::from_data(bytes, &options).map_err(|_| IconError::Format)?;
    let mut pixmap = Pixmap::new(side, side).ok_or(IconError::TooLarge)?;
    let size = tree.size();
    resvg::render(&tree, fit(size.width(), size.height(), side), &mut pixmap.as_mut());
    Ok(pixmap)
}

fn decode_png(bytes: &[u8], side: u32) -> Result<Pixmap, IconError> {
    // Width and height stand at a fixed place, in the header chunk that has to come first.
    let dimension = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|raw| raw.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or(IconError::Format)
    };
    if dimension(16)?.max(dimension(20)?) > MAX_SIDE {
        return Err(IconError::TooLarge);
    }
    let source = Pixmap::decode_png(bytes).map_err(|_| IconError::Format)?;
    if (source.width(), source.height()) == (side, side) {
        return Ok(source);
    }
    resample(&source, side).ok_or(IconError::TooLarge)
}

/// Moves and scales a picture of this size to the middle of a square.
fn fit(width: f32, height: f32, side: u32) -> Transform {
    let side = side as f32;
    let scale = side / width.max(height);
    Transform::from_scale(scale, scale)
        .post_translate((side - width * scale) / 2.0, (side - height * scale) / 2.0)
}

/// Fits a picture into a square: every pixel becomes the mean of the area of the source that it covers, so that large
/// icons stay smooth when they are shown small.
fn resample(source: &Pixmap, side: u32) -> Option<Pixmap> {
    let mut out = Pixmap::new(side, side)?;
    let back = fit(source.width() as f32, source.height() as f32, side).invert()?;
    let (width, height) = (source.width() as usize, source.height() as usize);
    let step = back.sx;
    let row_bytes = side as usize * 4;
    let data = source.data();
    for (y, row) in out.data_mut().chunks_exact_mut(row_bytes).enumerate() {
        let ys = spans(y as f32 * step + back.ty, step, height);
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let mut sum = [0.0_f32; 4];
            let xs = spans(x as f32 * step + back.tx, step, width);
            for (sy, wy) in ys.clone() {
                for (sx, wx) in xs.clone() {
                    let at = (sy * width + sx) * 4;
                    if let Some(colour) = data.get(at..at + 4) {
                        for (total, &part) in sum.iter_mut().zip(colour) {
                            *total += f32::from(part) * wx * wy;
                        }
                    }
                }
            }
            for (byte, total) in pixel.iter_mut().zip(sum) {
                *byte = (total / (step * step)).round() as u8;
            }
        }
    }
    Some(out)
}

/// The source pixels that `[from, from + length)` covers along one axis, each with the length covered.
fn spans(from: f32, length: f32, limit: usize) -> impl Iterator<Item = (usize, f32)> + Clone {
    let to = from + length;
    let first = from.max(0.0) as usize;
    let last = (to.max(0.0).ceil() as usize).min(limit);
    (first..last).map(move |at| (at, (to.min(at as f32 + 1.0) - from.max(at as f32)).max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(image: &IconImage, x: usize, y: usize) -> [u8; 4] {
        let at = (y * image.side + x) * 4;
        image.rgba_premultiplied[at..at + 4].try_into().expect("four bytes")
    }

    #[test]
    fn a_drawing_keeps_its_proportions() {
        let svg = br##"<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" fill="#f00"/></svg>"##;
        let image = decode(svg, 40).expect("a drawing");
        assert_eq!(image.rgba_premultiplied.len(), 40 * 40 * 4);
        assert_eq!(pixel(&image, 20, 20), [255, 0, 0, 255]);
        assert_eq!(pixel(&image, 20, 5), [0, 0, 0, 0]);
    }

    #[test]
    fn a_large_picture_is_averaged_when_shrunk_and_kept_when_grown() {
        let mut source = Pixmap::new(64, 64).expect("a pixmap");
        for (at, pixel) in source.data_mut().chunks_exact_mut(4).enumerate() {
            let white = (at + at / 64) % 2 == 0;
            pixel.copy_from_slice(if white { &[255; 4] } else { &[0, 0, 0, 255] });
        }
        let png = source.encode_png().expect("a png");
        let small = decode(&png, 16).expect("small");
        assert!((126..=129).contains(&pixel(&small, 8, 8)[0]), "{:?}", pixel(&small, 8, 8));
        assert_eq!(pixel(&small, 8, 8)[3], 255);
        let large = decode(&png, 128).expect("large");
        assert_eq!((pixel(&large, 0, 0), pixel(&large, 2, 0)), ([255; 4], [0, 0, 0, 255]));
    }

    #[test]
    fn rubbish_is_refused() {
        assert!(matches!(decode(b"", 16), Err(IconError::Format)));
        assert!(matches!(decode(b"\x89PNG\r\n", 16), Err(IconError::Format)));
        assert!(matches!(decode(b"<svg", 16), Err(IconError::Format)));
        let mut huge = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        huge.extend([0xff; 8]);
        assert!(matches!(decode(&huge, 16), Err(IconError::TooLarge)));
        assert!(matches!(load(Path::new("/no/such/file"), 16), Err(IconError::Read(_))));
    }
}
