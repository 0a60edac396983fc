//! The `Exec` key of a desktop entry: quoting and field codes.

/// What the field codes of an `Exec` key stand for.
#[derive(Clone, Copy, Debug, Default)]
pub struct FieldCodes<'a> {
    /// `%c`: the app's name in the user's language.
    pub name: &'a str,
    /// `%i`: becomes `--icon ICON` where there is one.
    pub icon: Option<&'a str>,
    /// `%k`: where the desktop entry lies.
    pub entry_path: &'a str,
}

/// Why an `Exec` key cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// A quotation mark has no partner.
    #[error("the command line in its desktop entry has a quotation mark without a partner")]
    OpenQuote,
    /// Nothing is left to run.
    #[error("the command line in its desktop entry is empty")]
    Empty,
}

/// Splits an `Exec` value into the program and its arguments, with the field codes replaced. No files are passed, so
/// the codes for files and addresses (`%f %F %u %U`) vanish, and so do the deprecated ones.
///
/// The specification quotes with `"`; `'` and a backslash outside of quotes are taken as a shell would, for real entries
/// use them.
///
/// # Errors
/// When a quotation mark is left open or nothing is to be run.
pub fn command_line(exec: &str, codes: FieldCodes<'_>) -> Result<Vec<String>, ExecError> {
    let mut out = Vec::new();
    for word in split(exec)? {
        match word.text.as_str() {
            "%i" if !word.quoted => {
                if let Some(icon) = codes.icon {
                    out.extend(["--icon".to_owned(), icon.to_owned()]);
                }
            }
            text => {
                let expanded = expand(text, codes);
                if !expanded.is_empty() || word.quoted {
                    out.push(expanded);
                }
            }
        }
    }
    match out.first() {
        Some(program) if !program.is_empty() => Ok(out),
        _ => Err(ExecError::Empty),
    }
}

struct Word {
    text: String,
    /// An empty quoted word is an argument; an empty plain one is what a field code left behind.
    quoted: bool,
}

fn split(exec: &str) -> Result<Vec<Word>, ExecError> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut rest = exec.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '"' | '\'' => {
                let word = word.get_or_insert(Word { text: String::new(), quoted: false });
                word.quoted = true;
                loop {
                    match rest.next() {
                        None => return Err(ExecError::OpenQuote),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => match rest.next() {
                            None => return Err(ExecError::OpenQuote),
                            Some(escaped @ ('"' | '`' | '$' | '\\')) => word.text.push(escaped),
                            Some(other) => word.text.extend(['\\', other]),
                        },
                        Some(other) => word.text.push(other),
                    }
                }
            }
            '\\' => {
                let word = word.get_or_insert(Word { text: String::new(), quoted: false });
                word.text.extend(rest.next());
            }
            other => word.get_or_insert(Word { text: String::new(), quoted: false }).text.push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn expand(text: &str, codes: FieldCodes<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => out.push('%'),
            Some('c') => out.push_str(codes.name),
            Some('k') => out.push_str(codes.entry_path),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(exec: &str) -> Result<Vec<String>, ExecError> {
        command_line(exec, FieldCodes { name: "My app", icon: Some("my-icon"), entry_path: "/a/b.desktop" })
    }

    #[test]
    fn words_quotes_and_codes() {
        assert_eq!(run("gimp-2.10 %U").expect("good"), ["gimp-2.10"]);
        assert_eq!(
            run(r#"sh -c "echo \"\$HOME\" \\ 'x'" %f"#).expect("good"),
            ["sh", "-c", r#"echo "$HOME" \ 'x'"#]
        );
        assert_eq!(
            run("a %i %c %k 100%% --x=%u \"\"").expect("good"),
            ["a", "--icon", "my-icon", "My app", "/a/b.desktop", "100%", "--x=", ""]
        );
        assert_eq!(run("env A=b\\ c 'd e'f").expect("good"), ["env", "A=b c", "d ef"]);
    }

    #[test]
    fn what_cannot_run_says_why() {
        assert_eq!(run("a \"b"), Err(ExecError::OpenQuote));
        assert_eq!(run("a \"b\\"), Err(ExecError::OpenQuote));
        assert_eq!(run("  %f "), Err(ExecError::Empty));
        assert_eq!(run("\"\" x"), Err(ExecError::Empty));
        assert_eq!(run("a %").expect("a stray percent sign is dropped"), ["a"]);
    }
}
