//! JSON schemas of types, as the API wants them for strict answers.

use schemars::JsonSchema;
use serde_json::Value;

/// The longest name of a schema that the API takes.
const MAX_NAME: usize = 64;

/// The name and the strict schema of a type.
pub(super) fn strict<T: JsonSchema>() -> (String, Value) {
    let mut schema = schemars::schema_for!(T).to_value();
    if let Value::Object(fields) = &mut schema {
        fields.remove("$schema"); // which dialect it is; the API knows one
    }
    close(&mut schema);
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "_-".contains(char);
    let name = T::schema_name();
    let name = name
        .chars()
        .map(|char| if is_plain(char) { char } else { '_' });
    (name.take(MAX_NAME).collect(), schema)
}

/// Makes every object take all its properties and no others. Schemas of a type nest as deep as the
/// type is written.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                let names: Vec<Value> = properties.keys().cloned().map(Value::String).collect();
                fields.insert("required".to_owned(), Value::Array(names));
                let closed = fields.entry("additionalProperties");
                closed.or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct City {
        name: String,
        mayor: Option<String>,
        districts: Vec<District>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct District {
        area: f64,
    }

    #[test]
    fn objects_are_closed_at_every_depth_and_all_properties_are_required() {
        let (name, schema) = strict::<City>();
        assert_eq!(name, "City");
        assert_eq!(schema["required"], json!(["name", "mayor", "districts"]));
        assert_eq!(schema["additionalProperties"], json!(false));
        let inner = &schema["$defs"]["District"];
        assert_eq!(inner["required"], json!(["area"]));
        assert_eq!(inner["additionalProperties"], json!(false));
        assert!(schema.get("$schema").is_none());
    }
}
