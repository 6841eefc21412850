//! What differs between two JSON values.

use serde_json::Value;

/// Where `found` is not as `expected`. An object may have more members than are expected; an array may not. A member
/// that is expected to be `null` may be missing.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    collect("", expected, found, &mut all);
    all
}

fn collect(path: &str, expected: &Value, found: &Value, all: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(members), Value::Object(_)) => {
            for (name, value) in members {
                collect(&format!("{path}/{name}"), value, &found[name], all);
            }
        }
        (Value::Array(values), Value::Array(others)) if values.len() == others.len() => {
            for (index, (value, other)) in values.iter().zip(others).enumerate() {
                collect(&format!("{path}/{index}"), value, other, all);
            }
        }
        _ if expected == found => {}
        _ => {
            let place = if path.is_empty() { "/" } else { path };
            all.push(format!("at {place}: expected {expected}, found {found}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn what_differs_is_named_by_its_place() {
        let found = json!({ "a": [1, { "b": "x" }], "more": true });
        assert!(differences(&json!({ "a": [1, { "b": "x" }], "none": null }), &found).is_empty());
        assert_eq!(
            differences(&json!({ "a": [1, { "b": "y" }], "more": false }), &found),
            [
                r#"at /a/1/b: expected "y", found "x""#,
                "at /more: expected false, found true"
            ]
        );
        assert_eq!(
            differences(&json!([1]), &json!([1, 2])),
            ["at /: expected [1], found [1,2]"]
        );
        assert_eq!(differences(&json!({ "a": 1 }), &json!(null)).len(), 1);
    }
}
