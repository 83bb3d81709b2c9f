//! Conditions on the metadata of documents, in the form of OpenAI's vector stores: `{"type": "gte", "key": "year", "value":
//! 2025}`, joined by `{"type": "and", "filters": […]}` and `or`.

mod parse;
mod schema;

use std::cmp::Ordering;

use serde_json::{Number, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::documents::Metadata;

/// A condition on the metadata of a document. It is made by [`Filter::parse`], which bounds its size.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Condition);

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare { key: String, test: Test },
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// Equal to one of these.
    In(Vec<Operand>),
    /// Equal to none of these, whatever the type, and also if there is no such entry.
    NotIn(Vec<Operand>),
    /// Of the same type as the operand, and to it in the one order or the other.
    Ordered(Operand, [Ordering; 2]),
}

/// What an entry is compared with.
#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Boolean(bool),
    Number(Number),
    Time(OffsetDateTime),
    Text(String),
}

impl Filter {
    /// Passes what passes both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Condition::All(vec![self.0, other.0]))
    }

    /// Whether a document with this metadata passes.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        self.0.holds(metadata)
    }
}

impl Condition {
    fn holds(&self, metadata: &Metadata) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(metadata)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(metadata)),
            Self::Compare { key, test } => test.holds(metadata.get(key)),
        }
    }
}

impl Test {
    fn holds(&self, entry: Option<&Value>) -> bool {
        match (self, entry) {
            (Self::In(operands), Some(entry)) => operands.iter().any(|operand| operand.equals(entry)),
            (Self::In(_) | Self::Ordered(..), None) => false,
            (Self::NotIn(operands), Some(entry)) => !operands.iter().any(|operand| operand.equals(entry)),
            (Self::NotIn(_), None) => true,
            (Self::Ordered(operand, orders), Some(entry)) => {
                operand.order_of(entry).is_some_and(|order| orders.contains(&order))
            }
        }
    }
}

impl Operand {
    /// Whether an entry is equal to it, or has a text that is.
    fn equals(&self, entry: &Value) -> bool {
        match (self, entry) {
            (Self::Boolean(operand), Value::Bool(entry)) => operand == entry,
            (_, Value::Array(texts)) => texts.iter().any(|text| self.equals(text)),
            _ => self.order_of(entry) == Some(Ordering::Equal),
        }
    }

    /// How an entry is ordered to it; `None` if they are of different types, or of one that has no order.
    fn order_of(&self, entry: &Value) -> Option<Ordering> {
        match (self, entry) {
            (Self::Number(operand), Value::Number(entry)) => order(entry, operand),
            (Self::Time(operand), Value::String(entry)) => Some(time(entry)?.cmp(operand)),
            (Self::Text(operand), Value::String(entry)) => {
                // By code points. A time is compared with times only.
                let order = entry.as_str().cmp(operand);
                (order == Ordering::Equal || time(entry).is_none()).then_some(order)
            }
            _ => None,
        }
    }
}

/// Whole numbers are compared as such: the last digits of a long one are lost to a float.
fn order(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// A text as a time, if it has the form of RFC 3339.
fn time(text: &str) -> Option<OffsetDateTime> {
    // The shortest is `2026-11-26T12:00:00Z`; few other texts have a dash there.
    let likely = text.len() >= 20 && text.as_bytes()[4] == b'-';
    likely.then(|| OffsetDateTime::parse(text, &Rfc3339).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(filter: &Value, metadata: &Value) -> bool {
        Filter::parse(filter, "/filters").unwrap().matches(metadata.as_object().unwrap())
    }

    fn compare(kind: &str, operand: &Value, entry: &Value) -> bool {
        holds(&json!({"type": kind, "key": "k", "value": operand}), &json!({"k": entry}))
    }

    /// Each comparison that holds of an entry.
    fn holding(operand: &Value, entry: &Value) -> String {
        let boolean = operand.is_boolean();
        let kinds = ["eq", "ne", "gt", "gte", "lt", "lte"].into_iter().take(if boolean { 2 } else { 6 });
        kinds.filter(|kind| compare(kind, operand, entry)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn values_of_one_type_are_compared_in_its_order() {
        for (operand, entry, expected) in [
            (json!(5), json!(5), "eq gte lte"),
            (json!(5), json!(5.0), "eq gte lte"),
            (json!(5), json!(6.5), "ne gt gte"),
            (json!(-1), json!(-2), "ne lt lte"),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), "ne lt lte"),
            (json!("b"), json!("b"), "eq gte lte"),
            (json!("b"), json!("a"), "ne lt lte"),
            (json!("b"), json!("B"), "ne lt lte"),
            (json!("b"), json!("é"), "ne gt gte"),
            (json!("2026-01-01T00:00:00Z"), json!("2026-01-01T01:00:00+01:00"), "eq gte lte"),
            (json!("2026-01-01T00:00:00Z"), json!("2026-01-01T00:00:00.5Z"), "ne gt gte"),
            (json!("2026-01-01T00:00:00Z"), json!("2025-12-31T23:00:00-02:00"), "ne gt gte"),
            (json!(true), json!(true), "eq"),
            (json!(true), json!(false), "ne"),
        ] {
            assert_eq!(holding(&operand, &entry), expected, "{entry} to {operand}");
        }
    }

    #[test]
    fn values_of_different_types_are_unequal_and_have_no_order() {
        let values =
            [json!(1), json!("1"), json!(true), json!("2026-01-01T00:00:00Z"), json!("2026-01-01"), json!("2027")];
        for operand in &values {
            for entry in &values {
                let of_one_type = operand == entry
                    || [operand, entry].iter().all(|value| value.as_str().is_some_and(|text| time(text).is_none()));
                if !of_one_type {
                    assert_eq!(holding(operand, entry), "ne", "{entry} to {operand}");
                }
            }
        }
    }

    #[test]
    fn a_list_equals_each_of_its_texts() {
        let tags = json!(["red", "blue"]);
        assert_eq!(holding(&json!("blue"), &tags), "eq");
        assert_eq!(holding(&json!("green"), &tags), "ne");
        assert_eq!(holding(&json!("blue"), &json!([])), "ne");
        assert!(compare("in", &json!(["green", "red"]), &tags) && !compare("in", &json!(["green"]), &tags));
        assert!(compare("nin", &json!(["green"]), &tags) && !compare("nin", &json!(["green", "red"]), &tags));
    }

    #[test]
    fn an_entry_that_is_missing_is_unequal_to_everything() {
        for (kind, value, expected) in [
            ("eq", json!(1), false),
            ("ne", json!(1), true),
            ("gt", json!(1), false),
            ("lte", json!(1), false),
            ("in", json!([1]), false),
            ("nin", json!([1]), true),
        ] {
            let filter = json!({"type": kind, "key": "k", "value": value});
            assert_eq!(holds(&filter, &json!({"other": 1})), expected, "{kind}");
        }
    }

    #[test]
    fn in_takes_values_of_several_types() {
        for (entry, expected) in [(json!(1), true), (json!("b"), true), (json!(2), false), (json!("1"), false)] {
            assert_eq!(compare("in", &json!([1, "b"]), &entry), expected, "{entry}");
            assert_eq!(compare("nin", &json!([1, "b"]), &entry), !expected, "{entry}");
        }
    }

    #[test]
    fn conditions_are_joined() {
        let year = |kind: &str, value: i32| json!({"type": kind, "key": "year", "value": value});
        let draft = json!({"type": "eq", "key": "draft", "value": true});
        let between = json!({"type": "and", "filters": [year("gte", 2024), year("lt", 2026)]});
        let either = json!({"type": "or", "filters": [between, draft]});
        for (metadata, expected) in [
            (json!({"year": 2024}), true),
            (json!({"year": 2026}), false),
            (json!({"year": 2026, "draft": true}), true),
            (json!({}), false),
        ] {
            assert_eq!(holds(&either, &metadata), expected, "{metadata}");
        }
    }
}
