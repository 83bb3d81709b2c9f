use std::borrow::Cow;

use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::Filter;
use super::parse::{MAX_JOINED, MAX_VALUES};
use crate::documents::metadata::{MAX_KEY, MAX_TEXT};

impl ToSchema for Filter {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Filter")
    }
}

impl PartialSchema for Filter {
    fn schema() -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let text = || of(Type::String).max_length(Some(MAX_TEXT));
        let ordered = AnyOfBuilder::new().item(of(Type::Number)).item(text()).build();
        let any = || AnyOfBuilder::new().item(of(Type::Boolean)).item(of(Type::Number)).item(text());
        let several = ArrayBuilder::new().items(any()).min_items(Some(1)).max_items(Some(MAX_VALUES));
        let joined =
            ArrayBuilder::new().items(Ref::from_schema_name("Filter")).min_items(Some(1)).max_items(Some(MAX_JOINED));
        let schema = OneOfBuilder::new()
            .description(Some(
                "A condition on the metadata of documents. Values of different types are unequal and have no order.",
            ))
            .item(comparison(&["eq", "ne"], Schema::AnyOf(any().build())))
            .item(comparison(&["gt", "gte", "lt", "lte"], Schema::AnyOf(ordered)))
            .item(comparison(&["in", "nin"], Schema::Array(several.build())))
            .item(object(&["and", "or"], [("filters", RefOr::T(Schema::Array(joined.build())))]));
        RefOr::T(Schema::OneOf(schema.build()))
    }
}

fn comparison(kinds: &[&str], value: Schema) -> ObjectBuilder {
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_KEY));
    object(kinds, [("key", RefOr::T(Schema::Object(key.build()))), ("value", RefOr::T(value))])
}

fn object<const N: usize>(kinds: &[&str], members: [(&str, RefOr<Schema>); N]) -> ObjectBuilder {
    let kind = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds.iter().copied()));
    let start = ObjectBuilder::new().schema_type(Type::Object).property("type", kind).required("type");
    let with =
        |object: ObjectBuilder, (name, member): (&str, RefOr<Schema>)| object.property(name, member).required(name);
    let closed = utoipa::openapi::schema::AdditionalProperties::FreeForm(false);
    members.into_iter().fold(start, with).additional_properties(Some(closed))
}
