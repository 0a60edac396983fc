//! Screenshots, as far as tests look at them.

use std::collections::HashSet;
use std::io;
use std::path::Path;

/// Largest difference of a channel that nobody sees.
const VISIBLE: u8 = 6;

/// An RGB picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    rgb: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads a PNG file with 8 bits a channel.
    ///
    /// # Errors
    /// If it is none.
    pub fn load(path: &Path) -> io::Result<Self> {
        let decoder = png::Decoder::new(io::BufReader::new(std::fs::File::open(path)?));
        let mut reader = decoder.read_info().map_err(io::Error::other)?;
        let size = reader.output_buffer_size().ok_or_else(|| io::Error::other("a picture too large"))?;
        let mut bytes = vec![0; size];
        let info = reader.next_frame(&mut bytes).map_err(io::Error::other)?;
        let channels = info.color_type.samples();
        let rgb = bytes
            .chunks_exact(channels)
            .filter_map(|p| Some([*p.first()?, *p.get(1).or(p.first())?, *p.get(2).or(p.first())?]))
            .collect();
        let side = |v: u32| usize::try_from(v).unwrap_or(0);
        Ok(Self { width: side(info.width), height: side(info.height), rgb })
    }

    /// Writes a PNG file.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let side = |v: usize| u32::try_from(v).map_err(io::Error::other);
        let file = io::BufWriter::new(std::fs::File::create(path)?);
        let mut encoder = png::Encoder::new(file, side(self.width)?, side(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(io::Error::other)?;
        writer.write_image_data(&self.rgb.concat()).map_err(io::Error::other)
    }

    /// The pixel at a place.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        if x >= self.width {
            return None;
        }
        self.rgb.get(y * self.width + x).copied()
    }

    /// How many different colours there are in a rectangle (x, y, width, height).
    #[must_use]
    pub fn colours(&self, rect: [usize; 4]) -> usize {
        let [x, y, width, height] = rect;
        let mut seen = HashSet::new();
        for line in y..(y + height).min(self.height) {
            for column in x..(x + width).min(self.width) {
                seen.extend(self.at(column, line));
            }
        }
        seen.len()
    }

    /// How many pixels of a rectangle have a colour that `is` accepts.
    #[must_use]
    pub fn count(&self, rect: [usize; 4], is: impl Fn([u8; 3]) -> bool) -> usize {
        let [x, y, width, height] = rect;
        let lines = y..y + height;
        lines
            .flat_map(|line| (x..x + width).filter_map(move |column| self.at(column, line)))
            .filter(|c| is(*c))
            .count()
    }

    /// How many pixels of a rectangle differ visibly from another picture's. Two runs of one animation end a shade apart.
    #[must_use]
    pub fn difference(&self, other: &Self, rect: [usize; 4]) -> usize {
        let [x, y, width, height] = rect;
        let places = (y..y + height).flat_map(|line| (x..x + width).map(move |column| (column, line)));
        let differs =
            |(column, line): &(usize, usize)| match (self.at(*column, *line), other.at(*column, *line)) {
                (Some(a), Some(b)) => a.iter().zip(&b).any(|(a, b)| a.abs_diff(*b) > VISIBLE),
                (a, b) => a != b,
            };
        places.filter(differs).count()
    }
}
