//! Comma-separated values as Podman's flags read them (RFC 4180: `"` quotes a field, `""` is a quote in it).

use crate::ParseError;

/// Splits one value at its commas. A path with a comma is written `"like,this"`.
pub fn split(what: &'static str, text: &str) -> Result<Vec<String>, ParseError> {
    let invalid = |why: &str| ParseError::new(what, text, why);
    if !text.contains('"') {
        return Ok(text.split(',').map(str::to_owned).collect());
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = unquote(quoted).ok_or_else(|| invalid("a quoted field has no closing quote"))?;
                if !after.is_empty() && !after.starts_with(',') {
                    return Err(invalid("something follows the closing quote of a field"));
                }
                (field, after)
            }
            None => {
                let (field, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if field.contains('"') {
                    return Err(invalid("a quote stands inside a field that is not quoted as a whole"));
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// Reads up to the closing quote; returns the field and what follows the quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let at = rest.find('"')?;
        field.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Some((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_may_be_quoted() {
        for (text, fields) in [
            ("", vec![""]),
            ("a", vec!["a"]),
            ("a,b", vec!["a", "b"]),
            ("a,,b,", vec!["a", "", "b", ""]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            ("x,\"say \"\"hi\"\"\"", vec!["x", "say \"hi\""]),
            ("\"\"", vec![""]),
        ] {
            assert_eq!(split("list", text).unwrap(), fields, "{text}");
        }
        for bad in ["\"a", "\"a\"b", "a\"b\"", "\"\"\""] {
            assert!(split("list", bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(fields in proptest::collection::vec(".{0,8}", 1..5)) {
            let text: Vec<String> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(split("list", &text.join(",")).unwrap(), fields);
        }
    }
}
