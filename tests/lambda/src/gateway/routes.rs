use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;

/// Which function a request is for: the routes of the workspace's `Cargo.toml`, which are those of the template.
pub(super) struct Routes(Vec<(String, Rule)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Rule {
    Each(Vec<OfMethod>),
    All(String),
}

#[derive(Deserialize)]
struct OfMethod {
    method: String,
    function: String,
}

/// The route of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) function: &'a str,
    /// The path with names in braces.
    pub(super) resource: &'a str,
    /// What the path holds in their place.
    pub(super) parameters: BTreeMap<&'a str, &'a str>,
}

impl Routes {
    /// Those in a `Cargo.toml`.
    pub(super) fn read(manifest: &str) -> Self {
        #[derive(Deserialize)]
        struct Watch {
            router: BTreeMap<String, Rule>,
        }
        let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
        let watch = ["metadata", "lambda", "watch"].iter().fold(&manifest["workspace"], |table, name| &table[*name]);
        let Watch { router } = watch.clone().try_into().expect("Cargo.toml has routes");
        let mut routes: Vec<_> = router.into_iter().collect();
        // What is written out is found before what stands for anything.
        routes.sort_by_key(|(resource, _)| resource.split('/').map(|part| part.starts_with('{')).collect::<Vec<_>>());
        Self(routes)
    }

    pub(super) fn find<'a>(&'a self, method: &Method, path: &'a str) -> Option<Found<'a>> {
        self.0.iter().find_map(|(resource, rule)| {
            let parameters = held(resource, path)?;
            let function = rule.function(method)?;
            Some(Found { function, resource, parameters })
        })
    }
}

impl Rule {
    fn function(&self, method: &Method) -> Option<&str> {
        match self {
            Self::All(function) => Some(function),
            Self::Each(rules) => Some(&rules.iter().find(|rule| rule.method == method.as_str())?.function),
        }
    }
}

/// What a path holds in the place of the names of a resource, if it is one of its paths.
fn held<'a>(resource: &'a str, path: &'a str) -> Option<BTreeMap<&'a str, &'a str>> {
    if resource.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut held = BTreeMap::new();
    for (name, part) in resource.split('/').zip(path.split('/')) {
        match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => drop(held.insert(name, part)),
            None if name == part => {}
            None => return None,
        }
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_comes_before_what_stands_for_anything() {
        let routes = Routes::read(&::tests::data::project_file("Cargo.toml"));
        let found = |method, path| routes.find(&method, path);
        let upload = found(Method::POST, "/documents/upload").unwrap();
        assert_eq!((upload.function, upload.resource), ("upload", "/documents/upload"));
        let document = found(Method::GET, "/documents/7").unwrap();
        assert_eq!((document.function, document.resource), ("documents", "/documents/{id}"));
        assert_eq!(document.parameters, BTreeMap::from([("id", "7")]));
        assert_eq!(found(Method::GET, "/search"), None, "it takes POST only");
        assert_eq!(found(Method::GET, "/documents/7/nothing"), None);
    }
}
