//! The one reader of names: the same function at compile time, in the derive and for each message.

use crate::text::offset;

/// The longest word, in bytes.
pub const MAX_WORD: usize = 64;

/// Domains that nobody may use: they are the prefixes of parked copies and the framework's own.
pub const RESERVED_DOMAINS: &[&str] = &[
    "queue", "retry", "timer", "due", "park", "process", "dlq", "errors", "tidewire",
];

/// What a name was meant to be; it decides how many words it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// One word alone.
    Word,
    /// Two words: domain and context.
    Context,
    /// Three words: domain, context and entity.
    Entity,
    /// Three or four words: domain, context, perhaps an entity, and action.
    Message,
}

impl Shape {
    const fn least(self) -> usize {
        match self {
            Self::Word => 1,
            Self::Context => 2,
            Self::Entity | Self::Message => 3,
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::Word => 1,
            Self::Context => 2,
            Self::Entity => 3,
            Self::Message => 4,
        }
    }
}

/// Where the words of a name are.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// 0 is none: a major begins with 1.
    major: u32,
    words: u8,
    context_start: u16,
    ends: [u16; 4],
}

impl Layout {
    pub(crate) const fn major(&self) -> Option<u32> {
        if self.major == 0 { None } else { Some(self.major) }
    }

    pub(crate) const fn words(&self) -> usize {
        self.words as usize
    }

    /// The offset behind a word.
    pub(crate) const fn end(&self, word: usize) -> usize {
        self.ends[word] as usize
    }

    pub(crate) fn word<'t>(&self, text: &'t str, word: usize) -> &'t str {
        let start = match word {
            0 => 0,
            1 => usize::from(self.context_start),
            later => self.end(later - 1) + 1,
        };
        &text[start..self.end(word)]
    }

    /// The layout of the first words alone.
    pub(crate) const fn first(self, words: u8) -> Self {
        Self { words, ..self }
    }
}

/// A broken rule, and the token that breaks it.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) rule: Rule,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Copy)]
pub(crate) enum Rule {
    TooFewWords,
    TooManyWords,
    EmptyWord,
    LongWord,
    ForeignCharacter,
    StrayMark,
    MisplacedMajor,
    MajorTooLarge,
    ReservedDomain,
}

impl Fault {
    const fn new(rule: Rule, start: usize, end: usize) -> Self {
        Self { rule, start, end }
    }

    /// The compile error of a malformed literal. A `const` cannot print the word: the rule must do.
    #[expect(
        clippy::panic,
        reason = "in a const this is the compile error; each caller documents it"
    )]
    #[track_caller]
    pub(crate) const fn refuse_literal(self) -> ! {
        match self.rule {
            Rule::TooFewWords => panic!("the name has too few words"),
            Rule::TooManyWords => panic!("the name has too many words"),
            Rule::EmptyWord => panic!("the name has an empty word: put one `.` between two words"),
            Rule::LongWord => panic!("the name has a word of more than 64 bytes"),
            Rule::ForeignCharacter => panic!("the name's words hold only a-z, 0-9 and single `-` or `_`"),
            Rule::StrayMark => panic!("`-` and `_` stand singly, between two letters or digits"),
            Rule::MisplacedMajor => panic!("a word like `v2` is a major version: the second token only"),
            Rule::MajorTooLarge => panic!("the name's major version is over 4294967295"),
            Rule::ReservedDomain => panic!("the name's domain is reserved: choose another first word"),
        }
    }
}

/// Reads a name, in one pass and without an allocation.
pub(crate) const fn scan(text: &str, shape: Shape) -> Result<Layout, Fault> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(Fault::new(Rule::TooFewWords, 0, 0));
    }
    let mut layout = Layout {
        major: 0,
        words: 0,
        context_start: 0,
        ends: [0; 4],
    };
    let (mut start, mut token) = (0, 0);
    loop {
        let end = token_end(bytes, start);
        if token == 1 && looks_like_major(bytes, start, end) {
            layout.major = match read_major(bytes, start, end) {
                Some(major) => major,
                None => return Err(Fault::new(Rule::MajorTooLarge, start, end)),
            };
        } else {
            if layout.words() == shape.most() {
                return Err(Fault::new(Rule::TooManyWords, start, end));
            }
            if let Err(fault) = check_word(bytes, start, end) {
                return Err(fault);
            }
            match layout.words {
                0 if is_reserved(bytes, end) => return Err(Fault::new(Rule::ReservedDomain, start, end)),
                1 => layout.context_start = offset(start),
                _ => {}
            }
            layout.ends[layout.words()] = offset(end);
            layout.words += 1;
        }
        if end == bytes.len() {
            break;
        }
        start = end + 1;
        token += 1;
    }
    if layout.words() < shape.least() {
        return Err(Fault::new(Rule::TooFewWords, 0, bytes.len()));
    }
    Ok(layout)
}

/// Holds one word to the grammar.
pub(super) const fn check_word(bytes: &[u8], start: usize, end: usize) -> Result<(), Fault> {
    if start == end {
        return Err(Fault::new(Rule::EmptyWord, start, end));
    }
    let mut at = start;
    let mut behind_mark = true;
    while at < end {
        match bytes[at] {
            b'a'..=b'z' | b'0'..=b'9' => behind_mark = false,
            b'-' | b'_' if behind_mark => return Err(Fault::new(Rule::StrayMark, start, end)),
            b'-' | b'_' => behind_mark = true,
            _ => return Err(Fault::new(Rule::ForeignCharacter, start, end)),
        }
        at += 1;
    }
    if behind_mark {
        return Err(Fault::new(Rule::StrayMark, start, end));
    }
    if end - start > MAX_WORD {
        return Err(Fault::new(Rule::LongWord, start, end));
    }
    if looks_like_major(bytes, start, end) {
        return Err(Fault::new(Rule::MisplacedMajor, start, end));
    }
    Ok(())
}

/// Whether a token is `v[1-9][0-9]*`.
pub(crate) const fn looks_like_major(bytes: &[u8], start: usize, end: usize) -> bool {
    if end - start < 2 || bytes[start] != b'v' || bytes[start + 1] == b'0' {
        return false;
    }
    let mut at = start + 1;
    while at < end {
        if !bytes[at].is_ascii_digit() {
            return false;
        }
        at += 1;
    }
    true
}

const fn read_major(bytes: &[u8], start: usize, end: usize) -> Option<u32> {
    let mut major: u32 = 0;
    let mut at = start + 1;
    while at < end {
        let Some(tens) = major.checked_mul(10) else {
            return None;
        };
        let Some(sum) = tens.checked_add((bytes[at] - b'0') as u32) else {
            return None;
        };
        major = sum;
        at += 1;
    }
    Some(major)
}

const fn token_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len() && bytes[at] != b'.' {
        at += 1;
    }
    at
}

const fn is_reserved(bytes: &[u8], end: usize) -> bool {
    let mut at = 0;
    while at < RESERVED_DOMAINS.len() {
        let reserved = RESERVED_DOMAINS[at].as_bytes();
        if reserved.len() == end && starts_with(bytes, reserved) {
            return true;
        }
        at += 1;
    }
    false
}

/// `[u8]::starts_with`, which is not a `const fn`.
pub(super) const fn starts_with(bytes: &[u8], prefix: &[u8]) -> bool {
    if bytes.len() < prefix.len() {
        return false;
    }
    let mut at = 0;
    while at < prefix.len() {
        if bytes[at] != prefix[at] {
            return false;
        }
        at += 1;
    }
    true
}
