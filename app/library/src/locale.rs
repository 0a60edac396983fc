//! Which translation of a desktop entry suits the user.

/// The user's message locale, as the ordered list of tags that a translation may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locale {
    tags: Vec<String>,
}

impl Locale {
    /// The locale of the environment: `LC_ALL`, else `LC_MESSAGES`, else `LANG`.
    #[must_use]
    pub fn from_env() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        Self::from_tag(
            &set("LC_ALL").or_else(|| set("LC_MESSAGES")).or_else(|| set("LANG")).unwrap_or_default(),
        )
    }

    /// Reads `lang_COUNTRY.ENCODING@MODIFIER`; all parts but the language may be missing. The specification's order of
    /// preference is lang_COUNTRY@MODIFIER, lang_COUNTRY, lang@MODIFIER, lang.
    #[must_use]
    pub fn from_tag(tag: &str) -> Self {
        let (rest, modifier) = match tag.split_once('@') {
            Some((rest, modifier)) => (rest, Some(modifier)),
            None => (tag, None),
        };
        let rest = rest.split('.').next().unwrap_or_default();
        let (language, country) = match rest.split_once('_') {
            Some((language, country)) => (language, Some(country)),
            None => (rest, None),
        };
        let mut tags = Vec::new();
        if !matches!(language, "" | "C" | "POSIX") {
            if let (Some(country), Some(modifier)) = (country, modifier) {
                tags.push(format!("{language}_{country}@{modifier}"));
            }
            if let Some(country) = country {
                tags.push(format!("{language}_{country}"));
            }
            if let Some(modifier) = modifier {
                tags.push(format!("{language}@{modifier}"));
            }
            tags.push(language.to_owned());
        }
        Self { tags }
    }

    /// How well a translation with this tag suits: smaller is better, `None` is not at all.
    #[must_use]
    pub fn rank(&self, tag: &str) -> Option<usize> {
        self.tags.iter().position(|own| own == tag)
    }

    /// The rank of the value without a tag: better than nothing, worse than any translation that suits.
    #[must_use]
    pub fn rank_of_untranslated(&self) -> usize {
        self.tags.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_order_of_the_specification() {
        assert_eq!(Locale::from_tag("sr_RS.UTF-8@latin").tags, ["sr_RS@latin", "sr_RS", "sr@latin", "sr"]);
        assert_eq!(Locale::from_tag("de").tags, ["de"]);
        assert_eq!(Locale::from_tag("eo@x").tags, ["eo@x", "eo"]);
        for none in ["C", "C.UTF-8", "POSIX", ""] {
            assert!(Locale::from_tag(none).tags.is_empty(), "{none:?}");
        }
    }
}
