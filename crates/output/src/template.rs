//! `--format`: JSON, a Go template, or a table of templates.

use crate::table::align;
use gotmpl::{Template, Value};
use serde_json::Value as Json;

/// A parsed `--format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// `json`.
    Json,
    /// `table …`: a header made of the fields' names, cells aligned.
    Table(String),
    /// A template for each row.
    Template(String),
}

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("template: {0}")]
pub struct TemplateError(String);

impl Format {
    /// Reads `--format`.
    pub fn parse(text: &str) -> Self {
        let unescaped = text.replace("\\t", "\t").replace("\\n", "\n");
        match unescaped.trim() {
            "json" | "{{json .}}" | "{{ json . }}" => Self::Json,
            "table" => Self::Table(String::new()),
            _ => match unescaped.strip_prefix("table ").or(unescaped.strip_prefix("table\t")) {
                Some(rest) => Self::Table(rest.trim_start().to_owned()),
                None => Self::Template(unescaped),
            },
        }
    }
}

/// Renders rows. `headers` gives the header of a field; an unknown one is its name in capitals.
pub fn render(format: &Format, rows: &[Json], headers: &[(&str, &str)], with_headers: bool) -> Result<String, TemplateError> {
    match format {
        Format::Json => Ok(to_json(&Json::Array(rows.to_vec()))),
        Format::Template(text) => {
            let template = compile(text)?;
            let mut out = String::new();
            for row in rows {
                out.push_str(&execute(&template, row)?);
                if !out.ends_with('\n') {
                    out.push('\n');
                }
            }
            Ok(out)
        }
        Format::Table(text) => {
            let template = compile(text)?;
            let mut lines = Vec::new();
            if with_headers {
                lines.push(header_line(text, headers));
            }
            for row in rows {
                lines.push(execute(&template, row)?);
            }
            let cells = lines.iter().flat_map(|line| line.lines()).map(|line| line.split('\t').collect()).collect();
            Ok(align(cells))
        }
    }
}

/// Renders one value: a JSON document, or a template over it.
pub fn render_one(format: &Format, value: &Json) -> Result<String, TemplateError> {
    match format {
        Format::Json => Ok(to_json(value)),
        Format::Template(text) | Format::Table(text) => {
            let mut out = execute(&compile(text)?, value)?;
            if !out.ends_with('\n') {
                out.push('\n');
            }
            Ok(out)
        }
    }
}

/// JSON as Podman prints it: indented by four spaces.
pub fn to_json(value: &Json) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"     ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Writing a value that is JSON already into memory cannot fail.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    out.push(b'\n');
    String::from_utf8_lossy(&out).into_owned()
}

fn compile(text: &str) -> Result<Template, TemplateError> {
    let json = |args: &[Value]| -> gotmpl::Result<Value> {
        let text = args.first().map(|value| serde_json::to_string(&from_value(value)).unwrap_or_default()).unwrap_or_default();
        Ok(Value::String(text.into()))
    };
    let text_of = |args: &[Value]| args.last().map(ToString::to_string).unwrap_or_default();
    let first = |args: &[Value]| args.first().map(ToString::to_string).unwrap_or_default();
    Template::new("format")
        .missing_key(gotmpl::MissingKey::Error)
        .func("json", json)
        .func("upper", move |args: &[Value]| Ok(Value::String(text_of(args).to_uppercase().into())))
        .func("lower", move |args: &[Value]| Ok(Value::String(text_of(args).to_lowercase().into())))
        .func("title", move |args: &[Value]| {
            let text = text_of(args);
            let mut letters = text.chars();
            Ok(Value::String(letters.next().map(|c| c.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default().into()))
        })
        .func("join", |args: &[Value]| {
            let separator = args.get(1).map(ToString::to_string).unwrap_or_default();
            let parts: Vec<String> = match args.first().map(from_value) {
                Some(Json::Array(list)) => list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect(),
                _ => Vec::new(),
            };
            Ok(Value::String(parts.join(&separator).into()))
        })
        .func("split", move |args: &[Value]| {
            let separator = args.get(1).map(ToString::to_string).unwrap_or_default();
            Ok(to_value(&Json::Array(first(args).split(separator.as_str()).map(|part| Json::String(part.to_owned())).collect())))
        })
        .parse(text)
        .map_err(|e| TemplateError(e.to_string()))
}

fn execute(template: &Template, row: &Json) -> Result<String, TemplateError> {
    template.execute_to_string(&to_value(row)).map_err(|e| TemplateError(e.to_string()))
}

fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::Uint(value),
            _ => Value::Float(number.as_f64().unwrap_or(0.0)),
        },
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(list) => Value::List(list.iter().map(to_value).collect()),
        Json::Object(map) => {
            Value::Map(std::sync::Arc::new(map.iter().map(|(key, value)| (key.as_str().into(), to_value(value))).collect()))
        }
    }
}

fn from_value(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Uint(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::String(text) => Json::String(text.to_string()),
        Value::List(list) => Json::Array(list.iter().map(from_value).collect()),
        Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.to_string(), from_value(value))).collect()),
        _ => Json::Null,
    }
}

/// `{{.ID}}\t{{.Names}}` has the header `CONTAINER ID\tNAMES`.
fn header_line(text: &str, headers: &[(&str, &str)]) -> String {
    let mut line = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        line.push_str(&rest[..open]);
        rest = &rest[open + 2..];
        let Some(close) = rest.find("}}") else { break };
        let inside = &rest[..close];
        let field = inside
            .find('.')
            .map(|at| inside[at + 1..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
            .unwrap_or_default();
        match headers.iter().find(|(known, _)| *known == field) {
            Some((_, header)) => line.push_str(header),
            None => line.push_str(&field.to_uppercase()),
        }
        rest = &rest[close + 2..];
    }
    line.push_str(rest);
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_go_through_templates() {
        let rows = [json!({"ID": "1", "Names": "web", "Labels": {"a": "b"}}), json!({"ID": "22", "Names": "db", "Labels": {}})];
        let headers = [("ID", "CONTAINER ID")];
        let show = |text: &str| render(&Format::parse(text), &rows, &headers, true);
        assert_eq!(show("{{.ID}} {{.Names}}").unwrap(), "1 web\n22 db\n");
        assert_eq!(show("table {{.ID}}\\t{{.Names}}").unwrap(), "CONTAINER ID  NAMES\n1             web\n22            db\n");
        assert_eq!(show("{{json .Labels}}").unwrap(), "{\"a\":\"b\"}\n{}\n");
        assert_eq!(show("{{upper .Names}}").unwrap(), "WEB\nDB\n");
        assert!(show("{{.Nope}}").is_err() && show("{{").is_err());
        assert!(show("json").unwrap().starts_with('['));
    }
}
