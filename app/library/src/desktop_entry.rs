//! Desktop entry files: the [Desktop Entry Specification] 1.5.
//!
//! The parser is a pure function of the file's text and the user's locale. It is as forgiving as the common desktops:
//! a line it cannot read is skipped, so that one mistake in a translation does not hide an app.
//!
//! [Desktop Entry Specification]: https://specifications.freedesktop.org/desktop-entry-spec/latest/

use std::collections::HashMap;

use super::locale::Locale;

/// The largest desktop entry that is read, in bytes. Real ones stay below 100 KiB with all their translations.
pub const MAX_ENTRY_BYTES: u64 = 1024 * 1024;

/// What one desktop entry of `Type=Application` says, with the user's language already chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesktopEntry {
    /// The app's name (`Name`), never empty.
    pub name: String,
    /// What kind of app it is, such as "Web browser" (`GenericName`).
    pub generic_name: Option<String>,
    /// One sentence about the app (`Comment`).
    pub comment: Option<String>,
    /// An icon name or an absolute path (`Icon`).
    pub icon: Option<String>,
    /// The command line with field codes, not yet split (`Exec`).
    pub exec: Option<String>,
    /// The program that has to exist for the app to be shown (`TryExec`).
    pub try_exec: Option<String>,
    /// The working directory (`Path`).
    pub working_dir: Option<String>,
    /// Whether the program needs a terminal window (`Terminal`).
    pub terminal: bool,
    /// Whether menus leave it out, although it can be started (`NoDisplay`).
    pub no_display: bool,
    /// Whether the entry counts as deleted (`Hidden`).
    pub hidden: bool,
    /// Desktops that show it; empty means all (`OnlyShowIn`).
    pub only_show_in: Vec<String>,
    /// Desktops that do not show it (`NotShowIn`).
    pub not_show_in: Vec<String>,
    /// Menu categories (`Categories`).
    pub categories: Vec<String>,
    /// Extra words to search by (`Keywords`).
    pub keywords: Vec<String>,
}

/// Why a file is no desktop entry of an application.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// There is no `[Desktop Entry]` group.
    #[error("the file has no [Desktop Entry] group")]
    NoGroup,
    /// The entry is a link or a directory, or of a type that does not exist.
    #[error("the entry is of type {0:?}, not Application")]
    NotAnApplication(String),
    /// A key that every application needs is missing or empty.
    #[error("the key {0} is missing")]
    MissingKey(&'static str),
}

impl DesktopEntry {
    /// Reads the text of a `.desktop` file.
    ///
    /// # Errors
    /// When it does not describe an application: see [`EntryError`].
    pub fn parse(text: &str, locale: &Locale) -> Result<Self, EntryError> {
        let keys = main_group(text, locale).ok_or(EntryError::NoGroup)?;
        let kind = keys.text("Type").ok_or(EntryError::MissingKey("Type"))?;
        if kind != "Application" {
            return Err(EntryError::NotAnApplication(kind));
        }
        Ok(Self {
            name: keys.text("Name").ok_or(EntryError::MissingKey("Name"))?,
            generic_name: keys.text("GenericName"),
            comment: keys.text("Comment"),
            icon: keys.text("Icon"),
            exec: keys.text("Exec"),
            try_exec: keys.text("TryExec"),
            working_dir: keys.text("Path"),
            terminal: keys.flag("Terminal"),
            no_display: keys.flag("NoDisplay"),
            hidden: keys.flag("Hidden"),
            only_show_in: keys.list("OnlyShowIn"),
            not_show_in: keys.list("NotShowIn"),
            categories: keys.list("Categories"),
            keywords: keys.list("Keywords"),
        })
    }

    /// Whether a desktop that calls itself `desktops` (the parts of `XDG_CURRENT_DESKTOP`) lists the app.
    #[must_use]
    pub fn is_listed_in(&self, desktops: &[String]) -> bool {
        if self.no_display || self.hidden {
            return false;
        }
        let named = |list: &[String]| desktops.iter().any(|desktop| list.contains(desktop));
        (self.only_show_in.is_empty() || named(&self.only_show_in)) && !named(&self.not_show_in)
    }
}

/// The raw values of the main group: per key the one that suits the locale best, still with escapes.
struct Keys<'text>(HashMap<&'text str, (usize, &'text str)>);

impl Keys<'_> {
    /// The value of a string key, or `None` where it is missing or empty.
    fn text(&self, key: &str) -> Option<String> {
        let (_, raw) = self.0.get(key)?;
        let value = unescape(raw);
        (!value.trim().is_empty()).then_some(value)
    }

    /// The value of a boolean key. The specification wants `true`; old files say `1`.
    fn flag(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|(_, raw)| matches!(*raw, "true" | "1"))
    }

    /// The parts of a list key, split at semicolons that are not escaped.
    fn list(&self, key: &str) -> Vec<String> {
        let Some((_, raw)) = self.0.get(key) else { return Vec::new() };
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut rest = raw.chars();
        while let Some(c) = rest.next() {
            match c {
                ';' => parts.push(std::mem::take(&mut part)),
                '\\' => {
                    part.push('\\');
                    part.extend(rest.next());
                }
                other => part.push(other),
            }
        }
        parts.push(part);
        parts.iter().map(|part| unescape(part).trim().to_owned()).filter(|part| !part.is_empty()).collect()
    }
}

/// Collects the keys of `[Desktop Entry]`. The rank of a value is its place in the locale's order of preference.
fn main_group<'text>(text: &'text str, locale: &Locale) -> Option<Keys<'text>> {
    let mut keys: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut in_group = false;
    let mut seen = false;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim();
        if let Some(group) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            in_group = group == "Desktop Entry";
            seen |= in_group;
            continue;
        }
        if !in_group || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim_end(), value.trim_start());
        let (name, rank) = match key.split_once('[') {
            None => (key, locale.rank_of_untranslated()),
            Some((name, tag)) => match locale.rank(tag.trim_end_matches(']')) {
                Some(rank) => (name, rank),
                None => continue,
            },
        };
        match keys.get(name) {
            Some((best, _)) if *best <= rank => {}
            _ => {
                keys.insert(name, (rank, value));
            }
        }
    }
    seen.then_some(Keys(keys))
}

/// Replaces the escapes of string values. An unknown escape stays as written, for `Exec` has its own.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('s') => out.push(' '),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') => out.push('\\'),
            Some(';') => out.push(';'),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DesktopEntry, EntryError> {
        DesktopEntry::parse(text, &Locale::from_tag("de_AT.UTF-8@euro"))
    }

    #[test]
    fn reads_a_usual_entry_in_the_users_language() {
        let entry = parse(
            "#!/usr/bin/env xdg-open\n[Desktop Entry]\nType=Application\nName=Calculator\nName[fr]=Calculatrice\n\
             Name[de]=Taschenrechner\nName[de_AT]=Rechner\nComment=Add\\sup\nComment[de@euro]=Zusammenzählen\n\
             Exec=gnome-calculator %U\nTerminal=false\nCategories=GNOME;Utility;\nKeywords=sum\\;s;plus\n\
             [Desktop Action new]\nName=New window\nExec=other\n",
        )
        .expect("a good entry");
        assert_eq!(entry.name, "Rechner");
        assert_eq!(entry.comment.as_deref(), Some("Zusammenzählen"));
        assert_eq!(entry.exec.as_deref(), Some("gnome-calculator %U"));
        assert_eq!(entry.categories, ["GNOME", "Utility"]);
        assert_eq!(entry.keywords, ["sum;s", "plus"]);
        assert!(!entry.terminal);
    }

    #[test]
    fn an_escaped_value_is_read_as_meant() {
        let entry =
            parse("[Desktop Entry]\nType=Application\nName=A\\sb\\\\c\\n\\q\\").expect("a good entry");
        assert_eq!(entry.name, "A b\\c\n\\q\\");
    }

    #[test]
    fn a_broken_line_hides_nothing() {
        let entry = parse(
            "[Desktop Entry]\r\nType = Application\r\nnonsense\r\n=x\r\nName= A \r\n[unclosed\r\nIcon=i\r\n",
        )
        .expect("a good entry");
        assert_eq!((entry.name.as_str(), entry.icon.as_deref()), ("A", Some("i")));
    }

    #[test]
    fn what_is_no_application_says_so() {
        assert_eq!(parse(""), Err(EntryError::NoGroup));
        assert_eq!(parse("Type=Application\nName=x"), Err(EntryError::NoGroup));
        assert_eq!(parse("[Desktop Entry]\nName=x"), Err(EntryError::MissingKey("Type")));
        assert_eq!(parse("[Desktop Entry]\nType=Application\nName= "), Err(EntryError::MissingKey("Name")));
        assert_eq!(
            parse("[Desktop Entry]\nType=Link\nName=x"),
            Err(EntryError::NotAnApplication("Link".to_owned()))
        );
    }

    #[test]
    fn desktops_are_listed_by_name() {
        let mut entry =
            parse("[Desktop Entry]\nType=Application\nName=x\nOnlyShowIn=GNOME;").expect("a good entry");
        let sway = ["sway".to_owned()];
        let ubuntu = ["ubuntu".to_owned(), "GNOME".to_owned()];
        assert!(!entry.is_listed_in(&sway) && entry.is_listed_in(&ubuntu));
        entry.only_show_in.clear();
        assert!(entry.is_listed_in(&sway));
        entry.not_show_in = vec!["sway".to_owned()];
        assert!(!entry.is_listed_in(&sway));
        entry.not_show_in.clear();
        entry.no_display = true;
        assert!(!entry.is_listed_in(&sway));
    }
}
