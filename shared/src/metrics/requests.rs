use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Key, Label, with_recorder};

use super::metric::{About, Handle, Metric, describe};

/// The methods that are told apart; whatever else a client thinks of is one of them.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// The route of requests that none matches.
const UNMATCHED: &str = "unmatched";

/// Requests by method, route and class of status. A series appears with its first request.
pub struct Requests {
    about: About,
    routes: OnceLock<RwLock<HashMap<String, Route>>>,
}

/// The series of a route, by method and class.
type Route = [[Option<metrics::Histogram>; CLASSES.len()]; METHODS.len()];

impl Requests {
    pub(super) const fn new(about: About) -> Self {
        Self { about, routes: OnceLock::new() }
    }

    /// A request was answered. `route` is the pattern that matched its path, empty if none did.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode, time: Duration) {
        let Some(routes) = self.routes.get() else { return };
        let route = if route.is_empty() { UNMATCHED } else { route };
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        {
            let known = routes.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(histogram) = known.get(route).and_then(|series| series[method][class].as_ref()) {
                return histogram.record(time);
            }
        }
        let mut known = routes.write().unwrap_or_else(PoisonError::into_inner);
        let series = known.entry(route.to_owned()).or_default();
        series[method][class].get_or_insert_with(|| self.series(method, route, class)).record(time);
    }

    fn series(&self, method: usize, route: &str, class: usize) -> metrics::Histogram {
        let values = [METHODS[method].to_owned(), route.to_owned(), CLASSES[class].to_owned()];
        let labels: Vec<_> =
            self.about.labels.iter().zip(values).map(|(name, value)| Label::new(*name, value)).collect();
        let key = Key::from_parts(self.about.name, labels);
        with_recorder(|recorder| metrics::Histogram::register(recorder, &key))
    }
}

impl Metric for Requests {
    fn about(&self) -> &About {
        &self.about
    }

    fn start(&self) {
        with_recorder(|recorder| describe(recorder, &self.about));
        self.routes.get_or_init(RwLock::default);
    }
}
