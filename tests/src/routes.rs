//! The routes of a router.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;

/// The paths and methods of a router. It does not tell them but in its description for developers: the paths and the methods,
/// each by the number of the route.
pub fn of(router: &Router) -> BTreeMap<String, BTreeSet<&'static str>> {
    let description = format!("{router:?}");
    let path_router = description.split("fallback_router").next().unwrap();
    let (endpoints, paths) = path_router.split_once("node: Node").expect("axum describes its routers otherwise now");
    let numbered = |text: &str| -> Vec<(usize, String)> {
        let entries = text.split("RouteId(").skip(1).map(|entry| entry.split_once(')').unwrap());
        entries.map(|(number, rest)| (number.parse().unwrap(), rest.to_owned())).collect()
    };
    let methods: BTreeMap<usize, BTreeSet<&'static str>> = numbered(endpoints)
        .into_iter()
        .map(|(number, endpoint)| {
            let has = |method: &&str| !endpoint.contains(&format!("{}: None", method.to_lowercase()));
            (number, ["GET", "DELETE", "PATCH", "POST", "PUT"].into_iter().filter(has).collect())
        })
        .collect();
    let paths = numbered(paths).into_iter();
    paths.map(|(number, rest)| (rest.split('"').nth(1).unwrap().to_owned(), methods[&number].clone())).collect()
}
