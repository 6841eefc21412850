//! What each variant of an error says, and that it says what to do.

/// Sees that the text of each variant ends with what the reader can do, and compares all of them with their snapshot.
///
/// Each row is a variant, one of it, and the words that are its remedy. The variants are the arms of a `match` without a
/// wildcard, so that a new one does not compile until it has a row.
macro_rules! remedies {
    ($name:literal, $error:ty, $($($variant:pat_param)|+ => $sample:expr, $remedy:literal;)+) => {{
        fn has_a_row(error: &$error) {
            match error {
                $($($variant)|+)|+ => {}
            }
        }
        let mut texts = String::new();
        $({
            let sample: $error = $sample;
            has_a_row(&sample);
            assert!(matches!(sample, $($variant)|+), "the row of {} has another one: {sample:?}", stringify!($($variant)|+));
            let text = sample.to_string();
            let said = text.strip_suffix($remedy).unwrap_or_default();
            assert!(
                !$remedy.is_empty() && [": ", "; ", ", "].iter().any(|mark| said.ends_with(mark)),
                "{text:?} does not end with the remedy {:?}",
                $remedy
            );
            texts += &format!("{}\n    {text}\n", stringify!($($variant)|+));
        })+
        insta::assert_snapshot!($name, texts);
    }};
}
pub(crate) use remedies;
