use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CollectionId, Role};

/// Who may read a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everyone of the tenant, in the role they have there.
    Tenant,
    /// Its members, in the role they have in it, and those who manage the tenant.
    Members,
}

/// Collections of which a user is a member, with the role in each.
pub type Memberships = BTreeMap<CollectionId, Role>;

/// What an API key is limited to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// The highest role, wherever its maker has a higher one.
    pub role: Role,
    /// The only collections, if any are named.
    #[serde(default)]
    pub collections: BTreeSet<CollectionId>,
}

/// The collections that somebody of this role and with these memberships may read, with the role in each.
pub fn readable(
    collections: &BTreeMap<CollectionId, Access>,
    role: Role,
    memberships: &Memberships,
    key: Option<&KeyLimits>,
) -> BTreeMap<CollectionId, Role> {
    let in_collection = |(id, access): (&CollectionId, &Access)| {
        let member = memberships.get(id).copied();
        let in_person = match access {
            Access::Tenant => Some(member.map_or(role, |member| role.max(member))),
            Access::Members if role >= Role::Admin => Some(role),
            Access::Members => member,
        }?;
        match key {
            None => Some((id.clone(), in_person)),
            Some(key) if key.collections.is_empty() || key.collections.contains(id) => {
                Some((id.clone(), in_person.min(key.role)))
            }
            Some(_) => None,
        }
    };
    collections.iter().filter_map(in_collection).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> CollectionId {
        text.parse().unwrap()
    }

    fn roles(role: Role, memberships: &[(&str, Role)], key: Option<&KeyLimits>) -> Vec<(String, Role)> {
        let collections = BTreeMap::from([(id("open"), Access::Tenant), (id("closed"), Access::Members)]);
        let memberships = memberships.iter().map(|(name, role)| (id(name), *role)).collect();
        let readable = readable(&collections, role, &memberships, key);
        readable.into_iter().map(|(id, role)| (id.to_string(), role)).collect()
    }

    fn expected(pairs: &[(&str, Role)]) -> Vec<(String, Role)> {
        pairs.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
    }

    #[test]
    fn a_collection_of_members_is_open_to_them_and_to_who_manages_the_tenant() {
        use Role::{Admin, Editor, Viewer};
        assert_eq!(roles(Editor, &[], None), expected(&[("open", Editor)]));
        assert_eq!(roles(Editor, &[("closed", Viewer)], None), expected(&[("closed", Viewer), ("open", Editor)]));
        assert_eq!(roles(Viewer, &[("closed", Editor)], None), expected(&[("closed", Editor), ("open", Viewer)]));
        assert_eq!(roles(Viewer, &[("open", Editor)], None), expected(&[("open", Editor)]));
        assert_eq!(roles(Admin, &[("closed", Viewer)], None), expected(&[("closed", Admin), ("open", Admin)]));
        assert_eq!(roles(Editor, &[("gone", Editor)], None), expected(&[("open", Editor)]));
    }

    #[test]
    fn a_key_takes_away_and_never_adds() {
        use Role::{Admin, Editor, Viewer};
        let key = |role, names: &[&str]| KeyLimits { role, collections: names.iter().map(|name| id(name)).collect() };
        assert_eq!(roles(Viewer, &[], Some(&key(Admin, &[]))), expected(&[("open", Viewer)]));
        assert_eq!(roles(Admin, &[], Some(&key(Viewer, &[]))), expected(&[("closed", Viewer), ("open", Viewer)]));
        assert_eq!(roles(Admin, &[], Some(&key(Editor, &["closed"]))), expected(&[("closed", Editor)]));
        assert_eq!(roles(Editor, &[], Some(&key(Editor, &["closed"]))), expected(&[]));
    }
}
