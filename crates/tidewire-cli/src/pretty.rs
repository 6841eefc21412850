//! JSON for people.

/// Indents JSON text. It works on the text, so that numbers beyond 64 bits and the order of members stay as they came.
pub(crate) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut rest = json.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' => {
                out.push('"');
                let mut is_escaped = false;
                for character in rest.by_ref() {
                    out.push(character);
                    match character {
                        '"' if !is_escaped => break,
                        _ => is_escaped = character == '\\' && !is_escaped,
                    }
                }
            }
            '{' | '[' => {
                out.push(character);
                while rest.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ if character.is_ascii_whitespace() => {}
            _ => out.push(character),
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn order_and_numbers_stay() {
        let text = pretty(r#"{"b": 18446744073709551616, "a":[ ],"c":[1,{"d":"\"{,"}]}"#);
        let wanted = "{\n  \"b\": 18446744073709551616,\n  \"a\": [],\n  \"c\": [\n    1,\n    {\n      \"d\": \"\\\"{,\"\n    }\n  ]\n}";
        assert_eq!(text, wanted);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                btree_map(any::<String>(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_as_serde_would_write_it(value in any_json()) {
            let wanted = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(pretty(&json!(value).to_string()), wanted);
        }
    }
}
