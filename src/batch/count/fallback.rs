//! A request of the flex tier that is sent as a usual one when that has no room for it.

use crate::batch::json::{Json, quoted};
use crate::cost::ServiceTier;
use crate::{Error, ErrorKind};

const FIELD: &str = "service_tier";

/// The class of service that the text of a body asks for.
pub(in crate::batch) fn tier_in(body: &str) -> ServiceTier {
    if !body.contains(FIELD) {
        return ServiceTier::default(); // most bodies, which are not taken apart
    }
    let name = Json::read(body).and_then(|body| body.field(FIELD)?.text());
    name.and_then(|name| ServiceTier::from_name(&name))
        .unwrap_or_default()
}

/// The text of a body that asks for the usual class of service, with all else as it stands.
pub(in crate::batch) fn as_standard(body: &str) -> Option<String> {
    let fields = Json::read(body)?.fields()?;
    let fields = fields.into_iter().map(|(name, value)| {
        let value = match name == FIELD {
            true => "\"default\"",
            false => value.as_str(),
        };
        format!("{}:{value}", quoted(&name))
    });
    Some(format!("{{{}}}", fields.collect::<Vec<_>>().join(",")))
}

/// Whether a request of the flex tier ended because there was no room for it, for good or before a deadline.
pub(in crate::batch) fn is_for_want_of_room(error: &Error) -> bool {
    match error {
        Error::Api(api) => api.kind == ErrorKind::Capacity,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tier_changes_and_all_else_stands() {
        let body =
            r#"{"model":"m", "service_tier": "flex", "seed": 1.10, "x":{"service_tier":"flex"}}"#;
        assert_eq!(tier_in(body), ServiceTier::Flex);
        let standard = as_standard(body).unwrap();
        let expected =
            r#"{"model":"m","service_tier":"default","seed":1.10,"x":{"service_tier":"flex"}}"#;
        assert_eq!(standard, expected);
        assert_eq!(tier_in(&standard), ServiceTier::Standard);
        for other in [r#"{"model":"m"}"#, r#"{"x":"service_tier"}"#, "", "[]"] {
            assert_eq!(tier_in(other), ServiceTier::Standard, "{other}");
        }
    }
}
