//! Names of functions, from the symbol tables of the files that the app had mapped.

use crate::files::Mounts;
use object::read::ReadCache;
use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SymbolKind};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Most files whose symbols are read for one report.
const MAX_FILES: usize = 24;

/// Finds functions. A file's symbols are read once.
pub(super) struct Symbols<'a> {
    mounts: &'a Mounts,
    files: HashMap<PathBuf, Option<Table>>,
}

/// Functions of a file, by address: start, length, name.
struct Table {
    /// Offset in the file, length, address.
    segments: Vec<(u64, u64, u64)>,
    functions: Vec<(u64, u64, String)>,
}

impl<'a> Symbols<'a> {
    pub fn new(mounts: &'a Mounts) -> Self {
        Self { mounts, files: HashMap::new() }
    }

    /// The function at `offset` of the file that the app knows as `path`, and the distance from its start.
    pub fn find(&mut self, path: &Path, offset: u64) -> Option<(String, u64)> {
        if !self.files.contains_key(path) {
            let table = if self.files.len() < MAX_FILES { self.read(path) } else { None };
            self.files.insert(path.to_owned(), table);
        }
        self.files.get(path)?.as_ref()?.find(offset)
    }

    /// Only files that the app itself may read are read.
    fn read(&self, path: &Path) -> Option<Table> {
        let file = File::from(self.mounts.open_for_reading(path).ok()?);
        let cache = ReadCache::new(file);
        let object = object::File::parse(&cache).ok()?;
        let segments = object.segments().map(|s| (s.file_range().0, s.file_range().1, s.address())).collect();
        let mut functions: Vec<(u64, u64, String)> = object
            .symbols()
            .chain(object.dynamic_symbols())
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?.to_owned())))
            .collect();
        functions.sort_by_key(|(start, ..)| *start);
        Some(Table { segments, functions })
    }
}

impl Table {
    fn find(&self, offset: u64) -> Option<(String, u64)> {
        let (from, _, address) = self
            .segments
            .iter()
            .find(|(from, len, _)| offset.checked_sub(*from).is_some_and(|o| o < *len))?;
        let address = address.checked_add(offset - from)?;
        let before = self.functions.partition_point(|(start, ..)| *start <= address);
        // Symbols of length 0 reach to the next one: assembly code often has them.
        self.functions.get(..before)?.iter().rev().take(8).find_map(|(start, len, name)| {
            let distance = address - start;
            (distance < *len || *len == 0).then(|| (name.clone(), distance))
        })
    }
}
