//! Ranking of apps for what was typed into the search box.

use postern_library::App;

/// The scores of the ways in which a word can match, best first. A better way always beats any sum of worse ones for
/// queries of a few words.
const NAME_IS: u32 = 1000;
const NAME_STARTS: u32 = 500;
const NAME_WORD_STARTS: u32 = 300;
const NAME_CONTAINS: u32 = 150;
const KEYWORD_STARTS: u32 = 80;
const ID_CONTAINS: u32 = 50;
const TEXT_CONTAINS: u32 = 30;
const LETTERS_IN_ORDER: u32 = 10;

/// How well `app` matches `query`, or `None` where it does not. Every word of the query has to match somewhere.
/// Upper and lower case count as the same.
#[must_use]
pub fn score(app: &App, query: &str) -> Option<u32> {
    let target = Target::new(app);
    query.to_lowercase().split_whitespace().map(|word| target.score_word(word)).sum()
}

/// The indices of the listed apps that match, best first; equal ones keep their order. An empty query matches all.
#[must_use]
pub fn ranked(apps: &[App], query: &str) -> Vec<usize> {
    let mut hits: Vec<(u32, usize)> = apps
        .iter()
        .enumerate()
        .filter(|(_, app)| app.listed)
        .filter_map(|(index, app)| Some((score(app, query)?, index)))
        .collect();
    hits.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    hits.into_iter().map(|(_, index)| index).collect()
}

/// What of an app is searched, in lower case.
struct Target {
    name: String,
    keywords: Vec<String>,
    id: String,
    text: String,
}

impl Target {
    fn new(app: &App) -> Self {
        let entry = &app.entry;
        let words = entry.keywords.iter().chain(&entry.categories).map(|word| word.to_lowercase());
        let generic = entry.generic_name.as_deref().unwrap_or_default().to_lowercase();
        Self {
            name: entry.name.to_lowercase(),
            keywords: words.chain(generic.split_whitespace().map(str::to_owned)).collect(),
            id: app.id.to_lowercase(),
            text: entry.comment.as_deref().unwrap_or_default().to_lowercase(),
        }
    }

    fn score_word(&self, word: &str) -> Option<u32> {
        let starts_a_word =
            || self.name.split(|c: char| !c.is_alphanumeric()).any(|part| part.starts_with(word));
        if self.name == word {
            Some(NAME_IS)
        } else if self.name.starts_with(word) {
            Some(NAME_STARTS)
        } else if starts_a_word() {
            Some(NAME_WORD_STARTS)
        } else if self.name.contains(word) {
            Some(NAME_CONTAINS)
        } else if self.keywords.iter().any(|keyword| keyword.starts_with(word)) {
            Some(KEYWORD_STARTS)
        } else if self.id.contains(word) {
            Some(ID_CONTAINS)
        } else if self.text.contains(word) {
            Some(TEXT_CONTAINS)
        } else if word.chars().count() >= 3 && letters_in_order(&self.name, word) {
            Some(LETTERS_IN_ORDER)
        } else {
            None
        }
    }
}

/// Whether the letters of `word` occur in `text` in this order, with gaps: "lbro" finds "LibreOffice Draw".
fn letters_in_order(text: &str, word: &str) -> bool {
    let mut letters = text.chars();
    word.chars().all(|wanted| letters.any(|letter| letter == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_library::desktop_entry::DesktopEntry;

    fn app(name: &str, comment: &str, keywords: &[&str]) -> App {
        App {
            id: format!("org.example.{}", name.replace(' ', "")),
            entry_path: "/x".into(),
            entry: DesktopEntry {
                name: name.to_owned(),
                comment: Some(comment.to_owned()),
                keywords: keywords.iter().map(|&word| word.to_owned()).collect(),
                ..DesktopEntry::default()
            },
            listed: true,
            command: Ok(vec!["x".to_owned()]),
        }
    }

    fn found(query: &str) -> Vec<String> {
        let mut hidden = app("Calc helper", "", &[]);
        hidden.listed = false;
        let apps = [
            app("Calculator", "Perform sums", &["math"]),
            app("LibreOffice Calc", "Spreadsheets", &[]),
            app("Recalculate", "", &[]),
            app("Terminal", "Run commands, calculate nothing", &["shell"]),
            hidden,
        ];
        ranked(&apps, query).into_iter().map(|index| apps[index].entry.name.clone()).collect()
    }

    #[test]
    fn the_start_of_the_name_beats_the_middle_and_the_comment() {
        assert_eq!(found("calc"), ["Calculator", "LibreOffice Calc", "Recalculate", "Terminal"]);
        assert_eq!(found("CALCULATOR"), ["Calculator"]);
        assert_eq!(found("shell"), ["Terminal"]);
        assert_eq!(found("lbro"), ["LibreOffice Calc"]);
        assert_eq!(found("office calc"), ["LibreOffice Calc"]);
        assert!(found("calc zebra").is_empty());
    }

    #[test]
    fn nothing_typed_shows_all_that_is_listed_in_order() {
        assert_eq!(found("  "), ["Calculator", "LibreOffice Calc", "Recalculate", "Terminal"]);
    }
}
