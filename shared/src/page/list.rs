use std::marker::PhantomData;

use serde::Serialize;

/// The entries of one partition whose sort keys begin alike, in the order of those keys.
///
/// A cursor is good for one list only: everything that is serialized here is signed with it. So a cursor that was made for
/// another tenant, user, document or filter is refused, whatever a list is made of one day.
#[derive(Debug, Clone, Serialize)]
pub struct List<T> {
    pub(super) table: Table,
    pub(super) partition: String,
    pub(super) prefix: String,
    pub(super) index: Option<Index>,
    pub(super) order: Order,
    pub(super) filters: Vec<Filter>,
    /// What an entry is read from; everything, if nothing is named.
    #[serde(skip)]
    pub(super) attributes: &'static [&'static str],
    #[serde(skip)]
    entry: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Table {
    Main,
    Chunks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// A secondary index, which has the sort keys of the table.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) attribute: &'static str,
    pub(super) partition: String,
}

/// Lets through what has one of these texts in this attribute.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Filter {
    pub(super) attribute: &'static str,
    pub(super) values: Vec<String>,
}

impl<T> List<T> {
    /// The items of the main table in this partition whose sort keys begin with `prefix`, in ascending order. The partition
    /// is one that [`crate::tables`] made from a tenant.
    pub fn new(partition: String, prefix: impl Into<String>) -> Self {
        Self {
            table: Table::Main,
            partition,
            prefix: prefix.into(),
            index: None,
            order: Order::Ascending,
            filters: Vec::new(),
            attributes: &[],
            entry: PhantomData,
        }
    }

    /// Those of the table of chunks, read from these attributes: an item holds its vector, too.
    #[must_use]
    pub fn of_chunks(self, attributes: &'static [&'static str]) -> Self {
        Self { table: Table::Chunks, attributes, ..self }
    }

    /// In descending order. The identifiers that are made here sort by time, so this is the newest first.
    #[must_use]
    pub fn newest_first(self) -> Self {
        Self { order: Order::Descending, ..self }
    }

    /// Only those in a partition of an index, which `attribute` names. An index lags behind its table.
    #[must_use]
    pub fn by_index(self, name: &'static str, attribute: &'static str, partition: String) -> Self {
        Self { index: Some(Index { name, attribute, partition }), ..self }
    }

    /// Only those that have one of these texts in an attribute; at most 100.
    #[must_use]
    pub fn only(mut self, attribute: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        self.filters.push(Filter { attribute, values: values.into_iter().collect() });
        self
    }
}
