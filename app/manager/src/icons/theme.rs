//! Finding icon files: the [Icon Theme Specification] 0.13.
//!
//! The directories of a theme are read once and kept, so that looking up hundreds of icons costs no further reads.
//!
//! [Icon Theme Specification]: https://specifications.freedesktop.org/icon-theme-spec/latest/

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use postern_library::Surroundings;

/// The theme that every lookup ends with.
const LAST_THEME: &str = "hicolor";

/// How deep `Inherits` is followed, so that themes that inherit each other end.
const MAX_THEMES: usize = 16;

/// The file endings in order of preference. XPM, which the specification still names, is not read.
const ENDINGS: [&str; 2] = ["png", "svg"];

/// Finds icons by name in the user's theme, what it inherits, `hicolor`, and the old unthemed directories.
#[derive(Debug)]
pub struct IconFinder {
    themes: Vec<Vec<ThemeDir>>,
    unthemed: Vec<PathBuf>,
}

/// One directory of a theme, with the names of its files.
#[derive(Debug)]
struct ThemeDir {
    sizes: DirSizes,
    path: PathBuf,
    files: HashSet<String>,
}

/// Which sizes the icons of a directory suit, in logical pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DirSizes {
    size: u32,
    scale: u32,
    kind: SizeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SizeKind {
    Fixed,
    Scalable { min: u32, max: u32 },
    Threshold(u32),
}

impl DirSizes {
    fn fits(self, size: u32, scale: u32) -> bool {
        self.scale == scale && self.distance(size, scale) == 0
    }

    /// How far the directory's icons are from the size wanted, in real pixels.
    fn distance(self, size: u32, scale: u32) -> u32 {
        let (min, max) = match self.kind {
            SizeKind::Fixed => (self.size, self.size),
            SizeKind::Scalable { min, max } => (min, max),
            SizeKind::Threshold(by) => (self.size.saturating_sub(by), self.size.saturating_add(by)),
        };
        let wanted = size.saturating_mul(scale);
        let (min, max) = (min.saturating_mul(self.scale), max.saturating_mul(self.scale));
        min.saturating_sub(wanted).max(wanted.saturating_sub(max))
    }
}

impl IconFinder {
    /// Reads the theme that the user has chosen and those that it inherits.
    #[must_use]
    pub fn new(around: &Surroundings) -> Self {
        Self::with_theme(around, chosen_theme(around).as_deref())
    }

    fn with_theme(around: &Surroundings, chosen: Option<&str>) -> Self {
        let mut bases: Vec<PathBuf> = around.home.iter().map(|home| home.join(".icons")).collect();
        bases.extend(around.data_dirs.iter().map(|dir| dir.join("icons")));
        let mut names: Vec<String> = chosen.into_iter().map(str::to_owned).collect();
        // Adwaita is what most apps' generic icon names expect where no theme is set.
        names.extend(["Adwaita".to_owned()]);
        let mut themes = Vec::new();
        let mut seen = HashSet::new();
        let mut next = 0;
        while let Some(name) = names.get(next).cloned()
            && themes.len() < MAX_THEMES
        {
            next += 1;
            if name != LAST_THEME && seen.insert(name.clone()) {
                let (dirs, inherits) = read_theme(&bases, &name);
                themes.push(dirs);
                let at = next.min(names.len());
                names.splice(at..at, inherits);
            }
        }
        themes.push(read_theme(&bases, LAST_THEME).0);
        let mut unthemed = bases;
        unthemed.extend(around.data_dirs.iter().map(|dir| dir.join("pixmaps")));
        Self { themes, unthemed }
    }

    /// The file that suits best: `size` in logical pixels at the integer `scale`. An absolute path stands for itself.
    #[must_use]
    pub fn find(&self, icon: &str, size: u32, scale: u32) -> Option<PathBuf> {
        if icon.starts_with('/') {
            let path = PathBuf::from(icon);
            return path.is_file().then_some(path);
        }
        // Names are file names: what climbs out of the icon directories is no icon.
        if icon.is_empty() || icon.contains('/') {
            return None;
        }
        self.find_themed(icon, size, scale).or_else(|| self.find_unthemed(icon)).or_else(|| {
            // Old entries give the file ending although they should not.
            let (stem, ending) = icon.rsplit_once('.')?;
            ["png", "svg", "xpm"].contains(&ending).then(|| self.find(stem, size, scale)).flatten()
        })
    }

    fn find_themed(&self, icon: &str, size: u32, scale: u32) -> Option<PathBuf> {
        let file_in = |dir: &ThemeDir| {
            ENDINGS.iter().map(|ending| format!("{icon}.{ending}")).find(|file| dir.files.contains(file))
        };
        self.themes.iter().find_map(|dirs| {
            let mut best: Option<(u32, PathBuf)> = None;
            for dir in dirs {
                let Some(file) = file_in(dir) else { continue };
                if dir.sizes.fits(size, scale) {
                    return Some(dir.path.join(file));
                }
                let distance = dir.sizes.distance(size, scale);
                if best.as_ref().is_none_or(|(least, _)| distance < *least) {
                    best = Some((distance, dir.path.join(file)));
                }
            }
            best.map(|(_, path)| path)
        })
    }

    fn find_unthemed(&self, icon: &str) -> Option<PathBuf> {
        self.unthemed.iter().find_map(|dir| {
            ENDINGS.iter().map(|ending| dir.join(format!("{icon}.{ending}"))).find(|path| path.is_file())
        })
    }
}

/// The theme's directories in all base directories, and the themes it inherits.
fn read_theme(bases: &[PathBuf], theme: &str) -> (Vec<ThemeDir>, Vec<String>) {
    let Some(index) =
        bases.iter().find_map(|base| fs::read_to_string(base.join(theme).join("index.theme")).ok())
    else {
        return (Vec::new(), Vec::new());
    };
    let groups = parse_ini(&index);
    let list = |key: &str| -> Vec<String> {
        groups.get("Icon Theme").and_then(|group| group.get(key)).map_or_else(Vec::new, |value| {
            value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        })
    };
    let mut dirs = Vec::new();
    for name in list("Directories").into_iter().chain(list("ScaledDirectories")) {
        let Some(sizes) = groups.get(name.as_str()).and_then(|group| dir_sizes(group)) else { continue };
        for base in bases {
            let path = base.join(theme).join(&name);
            let files = file_names(&path);
            if !files.is_empty() {
                dirs.push(ThemeDir { sizes, path, files });
            }
        }
    }
    (dirs, list("Inherits"))
}

fn dir_sizes(group: &HashMap<&str, &str>) -> Option<DirSizes> {
    let number = |key: &str| group.get(key).and_then(|value| value.parse::<u32>().ok());
    let size = number("Size")?;
    let kind = match group.get("Type").copied() {
        Some("Fixed") => SizeKind::Fixed,
        Some("Scalable") => SizeKind::Scalable {
            min: number("MinSize").unwrap_or(size),
            max: number("MaxSize").unwrap_or(size),
        },
        _ => SizeKind::Threshold(number("Threshold").unwrap_or(2)),
    };
    Some(DirSizes { size, scale: number("Scale").unwrap_or(1), kind })
}

fn file_names(dir: &Path) -> HashSet<String> {
    let Ok(items) = fs::read_dir(dir) else { return HashSet::new() };
    items.flatten().filter_map(|item| item.file_name().into_string().ok()).collect()
}

fn parse_ini(text: &str) -> HashMap<&str, HashMap<&str, &str>> {
    let mut groups: HashMap<&str, HashMap<&str, &str>> = HashMap::new();
    let mut group = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            group = name;
        } else if !line.starts_with('#')
            && let Some((key, value)) = line.split_once('=')
        {
            groups.entry(group).or_default().insert(key.trim(), value.trim());
        }
    }
    groups
}

/// The icon theme set for GTK or KDE programs, whichever file is there. There is no common place for this setting.
fn chosen_theme(around: &Surroundings) -> Option<String> {
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| around.home.as_ref().map(|home| home.join(".config")))?;
    let sources = [
        ("gtk-4.0/settings.ini", "Settings", "gtk-icon-theme-name"),
        ("gtk-3.0/settings.ini", "Settings", "gtk-icon-theme-name"),
        ("kdeglobals", "Icons", "Theme"),
    ];
    sources.iter().find_map(|(file, group, key)| {
        let text = fs::read_to_string(config.join(file)).ok()?;
        let name = parse_ini(&text).get(group)?.get(key).map(|value| value.trim_matches('"').to_owned())?;
        (!name.is_empty() && !name.contains('/')).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_library::locale::Locale;

    const INDEX: &str = "[Icon Theme]\nName=x\nInherits=parent\nDirectories=16x16/apps,48x48/apps,scalable/apps\n\
        ScaledDirectories=48x48@2/apps\n[16x16/apps]\nSize=16\nType=Fixed\n[48x48/apps]\nSize=48\n\
        [48x48@2/apps]\nSize=48\nScale=2\n[scalable/apps]\nSize=128\nMinSize=8\nMaxSize=512\nType=Scalable\n";

    fn with_files(name: &str, files: &[&str], test: impl FnOnce(&IconFinder, &Path)) {
        let root = std::env::temp_dir().join(format!("postern-icons-{name}-{}", std::process::id()));
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            let text = if file.ends_with("index.theme") {
                INDEX.replace("parent", if file.contains("/mine/") { "parent" } else { "mine" })
            } else {
                String::new()
            };
            fs::write(path, text).expect("file");
        }
        let around = Surroundings {
            data_dirs: vec![root.clone()],
            home: None,
            path: Vec::new(),
            desktops: Vec::new(),
            locale: Locale::from_tag("C"),
        };
        test(&IconFinder::with_theme(&around, Some("mine")), &root);
        let _ = fs::remove_dir_all(root);
    }

    #[test]
    fn the_size_that_fits_wins_and_then_the_nearest() {
        let files = [
            "icons/mine/index.theme",
            "icons/mine/16x16/apps/a.png",
            "icons/mine/48x48/apps/a.png",
            "icons/mine/48x48@2/apps/a.png",
            "icons/mine/16x16/apps/small.png",
            "icons/mine/scalable/apps/drawn.svg",
        ];
        with_files("sizes", &files, |finder, root| {
            let found = |icon, size, scale| {
                finder.find(icon, size, scale).map(|path| path.strip_prefix(root).expect("inside").to_owned())
            };
            assert_eq!(found("a", 48, 1), Some("icons/mine/48x48/apps/a.png".into()));
            assert_eq!(found("a", 48, 2), Some("icons/mine/48x48@2/apps/a.png".into()));
            assert_eq!(found("a", 20, 1), Some("icons/mine/16x16/apps/a.png".into()));
            assert_eq!(found("small", 64, 1), Some("icons/mine/16x16/apps/small.png".into()));
            assert_eq!(found("drawn", 64, 2), Some("icons/mine/scalable/apps/drawn.svg".into()));
        });
    }

    #[test]
    fn inherited_themes_then_hicolor_then_pixmaps() {
        let files = [
            "icons/mine/index.theme",
            "icons/parent/index.theme",
            "icons/parent/48x48/apps/p.png",
            "icons/hicolor/index.theme",
            "icons/hicolor/48x48/apps/h.png",
            "icons/hicolor/48x48/apps/p.png",
            "pixmaps/old.png",
        ];
        with_files("inherit", &files, |finder, root| {
            assert_eq!(finder.find("p", 48, 1), Some(root.join("icons/parent/48x48/apps/p.png")));
            assert_eq!(finder.find("h", 48, 1), Some(root.join("icons/hicolor/48x48/apps/h.png")));
            assert_eq!(finder.find("old", 48, 1), Some(root.join("pixmaps/old.png")));
            assert_eq!(finder.find("old.xpm", 48, 1), Some(root.join("pixmaps/old.png")));
            let direct = root.join("pixmaps/old.png");
            assert_eq!(finder.find(&direct.to_string_lossy(), 48, 1), Some(direct));
            for bad in ["", "none", "../pixmaps/old", "/no/such.png"] {
                assert_eq!(finder.find(bad, 48, 1), None, "{bad:?}");
            }
        });
    }
}
