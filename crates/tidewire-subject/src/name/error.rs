//! What can be wrong with a name.

use std::fmt;

use super::scan::{Fault, MAX_WORD, RESERVED_DOMAINS, Rule, Shape};
use super::suggest::suggest;
use crate::text::excerpt;

/// A name breaks the grammar: the text says which word breaks which rule, and shows a correct form.
///
/// What is quoted of the name is cut to 80 characters, and printed with control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There are fewer words than the shape has.
    TooFewWords {
        /// The name as it was given.
        name: String,
        /// How many words it has; a major version is not one.
        found: usize,
        /// What it was meant to be.
        shape: Shape,
    },
    /// There are more words than the shape has.
    TooManyWords {
        /// The name as it was given.
        name: String,
        /// How many words it has; a major version is not one.
        found: usize,
        /// What it was meant to be.
        shape: Shape,
    },
    /// Two dots stand together, or a dot begins or ends the name.
    EmptyWord {
        /// The name as it was given.
        name: String,
    },
    /// A word is longer than [`MAX_WORD`](crate::MAX_WORD) bytes.
    LongWord {
        /// The word.
        word: String,
        /// Its length in bytes.
        length: usize,
    },
    /// A word holds something else than lower-case letters, digits, `-` and `_`.
    ForeignCharacter {
        /// The name as it was given.
        name: String,
        /// The word.
        word: String,
        /// The first character that may not be there.
        character: char,
    },
    /// A `-` or `_` is doubled, or begins or ends a word.
    StrayMark {
        /// The name as it was given.
        name: String,
        /// The word.
        word: String,
    },
    /// A word that looks like a major version is not the second token.
    MisplacedMajor {
        /// The name as it was given.
        name: String,
        /// The word.
        word: String,
    },
    /// The major version does not fit 32 bits.
    MajorTooLarge {
        /// The token.
        word: String,
    },
    /// The domain is one of the [`RESERVED_DOMAINS`](crate::RESERVED_DOMAINS).
    ReservedDomain {
        /// The name as it was given.
        name: String,
        /// The reserved word.
        word: String,
    },
}

impl NameError {
    /// The error of a text that the scanner refused.
    #[cold]
    pub(crate) fn new(text: &str, shape: Shape, fault: Fault) -> Self {
        let name = excerpt(text);
        let token = &text[fault.start..fault.end];
        let word = excerpt(token);
        match fault.rule {
            Rule::TooFewWords => Self::TooFewWords {
                name,
                found: count_words(text),
                shape,
            },
            Rule::TooManyWords => Self::TooManyWords {
                name,
                found: count_words(text),
                shape,
            },
            Rule::EmptyWord => Self::EmptyWord { name },
            Rule::LongWord => Self::LongWord {
                word,
                length: token.len(),
            },
            Rule::ForeignCharacter => {
                let character = token.chars().find(|c| !is_of_word(*c)).unwrap_or_default();
                Self::ForeignCharacter {
                    name,
                    word,
                    character,
                }
            }
            Rule::StrayMark => Self::StrayMark { name, word },
            Rule::MisplacedMajor => Self::MisplacedMajor { name, word },
            Rule::MajorTooLarge => Self::MajorTooLarge { word },
            Rule::ReservedDomain => Self::ReservedDomain { name, word },
        }
    }
}

impl std::error::Error for NameError {}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewWords { name, found, shape } => {
                write!(f, "{name:?} has {found} words, too few for {}", Form(*shape))
            }
            Self::TooManyWords { name, found, shape } => {
                write!(f, "{name:?} has {found} words, too many for {}", Form(*shape))
            }
            Self::EmptyWord { name } => {
                write!(
                    f,
                    "{name:?} has an empty word: put exactly one `.` between two words"
                )
            }
            Self::LongWord { word, length } => {
                write!(
                    f,
                    "the word {word:?} has {length} bytes and may have {MAX_WORD}: shorten it"
                )
            }
            Self::ForeignCharacter {
                name,
                word,
                character,
            } => {
                write!(
                    f,
                    "the word {word:?} of {name:?} holds {character:?}, and a word is made of a-z, 0-9 "
                )?;
                write!(f, "and single `-` or `_`: write {}", Remedy(word))
            }
            Self::StrayMark { name, word } => {
                write!(
                    f,
                    "the word {word:?} of {name:?} has a `-` or `_` that is not alone between two "
                )?;
                write!(f, "letters or digits: write {}", Remedy(word))
            }
            Self::MisplacedMajor { name, word } => {
                write!(
                    f,
                    "the word {word:?} of {name:?} looks like a major version, which can only be the second "
                )?;
                write!(f, "token: write `<domain>.{word}.<context>…`, or another word")
            }
            Self::MajorTooLarge { word } => {
                write!(
                    f,
                    "the major version {word:?} is over {}: count majors from `v1`",
                    u32::MAX
                )
            }
            Self::ReservedDomain { name, word } => {
                write!(
                    f,
                    "the domain {word:?} of {name:?} is reserved (as are {}): ",
                    RESERVED_DOMAINS.join(" ")
                )?;
                write!(f, "begin with a domain of your own, such as `orders`")
            }
        }
    }
}

/// The form of a shape, and an example of it.
struct Form(Shape);

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Shape::Word => "a single word: write one such as `payments`",
            Shape::Context => "a context: write `<domain>[.v<major>].<context>`, such as `orders.payments`",
            Shape::Entity => {
                "an entity: write `<domain>[.v<major>].<context>.<entity>`, such as `orders.payments.payment`"
            }
            Shape::Message => {
                "a message: write `<domain>[.v<major>].<context>[.<entity>].<action>`, such as \
                 `orders.payments.payment.process`"
            }
        })
    }
}

/// The nearest correct word, or an example where there is none.
struct Remedy<'w>(&'w str);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match suggest(self.0) {
            Some(word) => write!(f, "`{word}`"),
            None => f.write_str("a word such as `payment`"),
        }
    }
}

fn is_of_word(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '-' | '_')
}

fn count_words(text: &str) -> usize {
    if text.is_empty() {
        return 0;
    }
    let has_major = text
        .split('.')
        .nth(1)
        .is_some_and(|t| super::looks_like_major(t.as_bytes(), 0, t.len()));
    text.split('.').count() - usize::from(has_major)
}
