use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Condition, Filter, Operand, Test, time};
use crate::documents::metadata::{MAX_KEY, MAX_TEXT};
use crate::error::FieldError;

/// How deep filters may stand in each other.
pub(super) const MAX_DEPTH: usize = 5;
/// The most filters that one `and` or `or` joins.
pub(super) const MAX_JOINED: usize = 20;
/// The most comparisons in all: each is made with every document of the collections that are searched.
pub(super) const MAX_COMPARISONS: usize = 50;
/// The most values of an `in` or `nin`.
pub(super) const MAX_VALUES: usize = 100;

impl Filter {
    /// Reads a filter. Each error names its place, by a JSON pointer that begins with `at`.
    pub fn parse(filter: &Value, at: &str) -> Result<Self, Vec<FieldError>> {
        let mut parser = Parser { errors: Vec::new(), comparisons: 0 };
        let condition = parser.condition(filter, at, 1);
        if parser.comparisons > MAX_COMPARISONS {
            parser.wrong::<()>(at, format!("must have at most {MAX_COMPARISONS} comparisons"));
        }
        match condition {
            Some(condition) if parser.errors.is_empty() => Ok(Self(condition)),
            _ => Err(parser.errors),
        }
    }
}

/// What was found wrong so far. Each step gives `None` where something was.
struct Parser {
    errors: Vec<FieldError>,
    comparisons: usize,
}

impl Parser {
    fn wrong<T>(&mut self, at: impl Into<String>, detail: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::new(at, detail));
        None
    }

    fn condition(&mut self, value: &Value, at: &str, depth: usize) -> Option<Condition> {
        if depth > MAX_DEPTH {
            return self.wrong(at, format!("must not stand in more than {} others", MAX_DEPTH - 1));
        }
        let Some(members) = value.as_object() else {
            return self.wrong(at, "must be an object");
        };
        let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "and" => self.joined(members, at, depth).map(Condition::All),
            "or" => self.joined(members, at, depth).map(Condition::Any),
            "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "in" | "nin" => self.comparison(kind, members, at),
            _ => self.wrong(format!("{at}/type"), "must be one of eq, ne, gt, gte, lt, lte, in, nin, and, or"),
        }
    }

    fn joined(&mut self, members: &Map<String, Value>, at: &str, depth: usize) -> Option<Vec<Condition>> {
        let known = self.only(members, &["type", "filters"], at);
        let at = format!("{at}/filters");
        let filters = members.get("filters").and_then(Value::as_array).filter(|filters| !filters.is_empty());
        let Some(filters) = filters.filter(|filters| filters.len() <= MAX_JOINED) else {
            return self.wrong(at, format!("must be a list of 1 to {MAX_JOINED} filters"));
        };
        let conditions: Vec<_> = filters
            .iter()
            .enumerate()
            .map(|(n, filter)| self.condition(filter, &format!("{at}/{n}"), depth + 1))
            .collect();
        let conditions = conditions.into_iter().collect::<Option<Vec<_>>>()?;
        known.then_some(conditions)
    }

    fn comparison(&mut self, kind: &str, members: &Map<String, Value>, at: &str) -> Option<Condition> {
        self.comparisons += 1;
        let known = self.only(members, &["type", "key", "value"], at);
        let key = self.key(members.get("key"), &format!("{at}/key"));
        let test = self.test(kind, members.get("value").unwrap_or(&Value::Null), &format!("{at}/value"));
        let (key, test) = (key?, test?);
        known.then_some(Condition::Compare { key, test })
    }

    fn only(&mut self, members: &Map<String, Value>, names: &[&str], at: &str) -> bool {
        let unknown: Vec<_> = members.keys().filter(|name| !names.contains(&name.as_str())).collect();
        for name in &unknown {
            let name = name.replace('~', "~0").replace('/', "~1");
            self.wrong::<()>(format!("{at}/{name}"), format!("is unknown here; expected {}", names.join(", ")));
        }
        unknown.is_empty()
    }

    fn key(&mut self, key: Option<&Value>, at: &str) -> Option<String> {
        match key.and_then(Value::as_str) {
            Some(key) if (1..=MAX_KEY).contains(&key.chars().count()) => Some(key.to_owned()),
            _ => self.wrong(at, format!("must be a text of 1 to {MAX_KEY} characters")),
        }
    }

    fn test(&mut self, kind: &str, value: &Value, at: &str) -> Option<Test> {
        use Ordering::{Equal, Greater, Less};
        match kind {
            "eq" => Some(Test::In(vec![self.operand(value, at)?])),
            "ne" => Some(Test::NotIn(vec![self.operand(value, at)?])),
            "in" => Some(Test::In(self.operands(value, at)?)),
            "nin" => Some(Test::NotIn(self.operands(value, at)?)),
            _ => {
                let operand = match self.operand(value, at)? {
                    Operand::Boolean(_) => {
                        return self.wrong(at, "must be a number, a text or a time: booleans have no order");
                    }
                    operand => operand,
                };
                let orders = match kind {
                    "gt" => [Greater, Greater],
                    "gte" => [Greater, Equal],
                    "lt" => [Less, Less],
                    _ => [Less, Equal],
                };
                Some(Test::Ordered(operand, orders))
            }
        }
    }

    fn operands(&mut self, value: &Value, at: &str) -> Option<Vec<Operand>> {
        let Some(values) = value.as_array().filter(|values| (1..=MAX_VALUES).contains(&values.len())) else {
            return self.wrong(at, format!("must be a list of 1 to {MAX_VALUES} values"));
        };
        let operands: Vec<_> =
            values.iter().enumerate().map(|(n, value)| self.operand(value, &format!("{at}/{n}"))).collect();
        operands.into_iter().collect()
    }

    fn operand(&mut self, value: &Value, at: &str) -> Option<Operand> {
        match value {
            Value::Bool(value) => Some(Operand::Boolean(*value)),
            Value::Number(value) => Some(Operand::Number(value.clone())),
            Value::String(text) if text.chars().count() <= MAX_TEXT => {
                Some(time(text).map_or_else(|| Operand::Text(text.clone()), Operand::Time))
            }
            Value::String(_) => self.wrong(at, format!("must have at most {MAX_TEXT} characters")),
            Value::Null | Value::Array(_) | Value::Object(_) => self.wrong(at, "must be a boolean, a number or a text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(filter: &Value) -> Vec<String> {
        let errors = Filter::parse(filter, "/filters").err().unwrap_or_default();
        errors.into_iter().map(|error| error.pointer).collect()
    }

    fn nested(depth: usize) -> Value {
        let comparison = json!({"type": "eq", "key": "k", "value": 1});
        (1..depth).fold(comparison, |filter, _| json!({"type": "and", "filters": [filter]}))
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        let eq = json!({"type": "eq", "key": "k", "value": 1});
        for (wrong, places) in [
            (json!(1), vec!["/filters"]),
            (json!({}), vec!["/filters/type"]),
            (json!({"type": "like", "key": "k", "value": 1}), vec!["/filters/type"]),
            (json!({"type": 1}), vec!["/filters/type"]),
            (json!({"type": "eq"}), vec!["/filters/key", "/filters/value"]),
            (json!({"type": "eq", "key": "", "value": null}), vec!["/filters/key", "/filters/value"]),
            (json!({"type": "eq", "key": "x".repeat(65), "value": 1}), vec!["/filters/key"]),
            (json!({"type": "eq", "key": "k", "value": ["a"]}), vec!["/filters/value"]),
            (json!({"type": "eq", "key": "k", "value": "x".repeat(513)}), vec!["/filters/value"]),
            (json!({"type": "eq", "key": "k", "value": 1, "a/b": 1}), vec!["/filters/a~1b"]),
            (json!({"type": "gt", "key": "k", "value": true}), vec!["/filters/value"]),
            (json!({"type": "in", "key": "k", "value": 1}), vec!["/filters/value"]),
            (json!({"type": "in", "key": "k", "value": []}), vec!["/filters/value"]),
            (
                json!({"type": "nin", "key": "k", "value": [1, {}, "a", null]}),
                vec!["/filters/value/1", "/filters/value/3"],
            ),
            (json!({"type": "in", "key": "k", "value": vec![1; 101]}), vec!["/filters/value"]),
            (json!({"type": "and"}), vec!["/filters/filters"]),
            (json!({"type": "or", "filters": []}), vec!["/filters/filters"]),
            (json!({"type": "or", "filters": vec![eq.clone(); 21]}), vec!["/filters/filters"]),
            (json!({"type": "or", "filters": [eq], "key": "k"}), vec!["/filters/key"]),
            (
                json!({"type": "or", "filters": [{"type": "and", "filters": [eq, {"type": "eq", "key": "k"}]}, 7]}),
                vec!["/filters/filters/0/filters/1/value", "/filters/filters/1"],
            ),
        ] {
            assert_eq!(pointers(&wrong), places, "{wrong}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        assert!(pointers(&nested(MAX_DEPTH)).is_empty());
        let place = format!("/filters{}", "/filters/0".repeat(MAX_DEPTH));
        assert_eq!(pointers(&nested(MAX_DEPTH + 1)), [place]);
        let joined = |n: usize| json!({"type": "and", "filters": vec![nested(1); n]});
        let full = |last: usize| json!({"type": "or", "filters": [joined(20), joined(20), joined(last)]});
        assert!(pointers(&full(10)).is_empty());
        assert_eq!(pointers(&full(11)), ["/filters"]);
    }
}
