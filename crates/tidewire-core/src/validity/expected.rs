//! What a validator found, in words that show nothing of the data.

use std::collections::BTreeSet;

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind},
    paths::{Location, LocationSegment},
};

/// More ways than this are not listed.
const MOST_WAYS: usize = 4;

/// Behind "one of these ways" the error that came furthest, if one of them goes further in than the ways do.
pub(super) fn deepest<'e>(error: &'e ValidationError<'e>) -> &'e ValidationError<'e> {
    let depth = |error: &ValidationError<'_>| error.instance_path().segments().count();
    let inner = ways(error).iter().flatten().map(deepest);
    match inner.max_by_key(|inner| depth(inner)) {
        Some(inner) if depth(inner) > depth(error) => inner,
        _ => error,
    }
}

/// The errors of each of several ways to be right.
fn ways<'e>(error: &'e ValidationError<'_>) -> &'e [Vec<ValidationError<'static>>] {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => context,
        _ => &[],
    }
}

/// A JSON pointer, with `*` for names that no author of a schema wrote.
pub(super) fn path(location: &Location, names: &BTreeSet<String>) -> String {
    let mut path = String::new();
    for segment in location.segments() {
        path.push('/');
        match segment {
            LocationSegment::Index(index) => path.push_str(&index.to_string()),
            LocationSegment::Property(name) if names.contains(&*name) => {
                path.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
            LocationSegment::Property(_) => path.push('*'),
        }
    }
    path
}

/// What the schema expects: only what its author wrote, and never what was found.
pub(super) fn expected(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    let count = |n: &u64, noun: &str, plural: &str| format!("{n} {}", if *n == 1 { noun } else { plural });
    match error.kind() {
        Kind::Type {
            kind: TypeKind::Single(kind),
        } => kind.to_string(),
        Kind::Type {
            kind: TypeKind::Multiple(kinds),
        } => either(kinds.iter().map(|kind| kind.to_string())),
        Kind::Required { property } => {
            format!(
                "the property `{}`",
                property.as_str().unwrap_or("that it requires")
            )
        }
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "no property that its schema does not have".into()
        }
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => {
            "no item that its schema does not have".into()
        }
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("at least {}", count(limit, "character", "characters")),
        Kind::MaxLength { limit } => format!("at most {}", count(limit, "character", "characters")),
        Kind::MinItems { limit } => format!("at least {}", count(limit, "item", "items")),
        Kind::MaxItems { limit } => format!("at most {}", count(limit, "item", "items")),
        Kind::MinProperties { limit } => format!("at least {}", count(limit, "property", "properties")),
        Kind::MaxProperties { limit } => format!("at most {}", count(limit, "property", "properties")),
        Kind::UniqueItems => "no item twice".into(),
        Kind::Pattern { pattern } => format!("text that matches `{pattern}`"),
        Kind::Format { format } => format!("text of the format `{format}`"),
        Kind::Enum { options } => match options.as_array() {
            Some(options) => either(options.iter().map(ToString::to_string)),
            None => options.to_string(),
        },
        Kind::Constant { expected_value } => expected_value.to_string(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } if context.len() <= MOST_WAYS => {
            either(context.iter().filter_map(|way| way.first()).map(expected))
        }
        Kind::OneOfMultipleValid { .. } => "only one of the forms in its schema".into(),
        Kind::FalseSchema => "nothing".into(),
        other => format!("what `{}` in its schema says", other.keyword()),
    }
}

/// "a", "a or b", "a, b or c".
fn either(ways: impl Iterator<Item = String>) -> String {
    let ways: Vec<_> = ways.collect();
    match ways.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "another form".into(),
    }
}
