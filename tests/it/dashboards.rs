//! Dashboards, alerts, the template and the documentation name metrics that there are.

use std::collections::{BTreeMap, BTreeSet};

use shared::metrics::{self, About, Kind};
use tests::{dashboards, data};

use crate::template;

/// What a file says of a metric: its name, and each label with a value.
type Mention = (String, Vec<(String, String)>);

#[test]
fn the_dashboards_that_are_written_down_are_what_the_code_makes() {
    for (path, made) in dashboards::made() {
        assert!(data::project_file(path) == made, "{path} is not what the code says: make dashboards");
    }
}

/// All metrics by the names that Prometheus knows their series by.
fn series() -> BTreeMap<String, &'static About> {
    let mut series = BTreeMap::new();
    for about in metrics::ALL.iter().map(|metric| metric.about()) {
        let suffixes: &[&str] = if about.kind == Kind::Histogram { &["_bucket", "_count", "_sum"] } else { &[""] };
        series.extend(suffixes.iter().map(|suffix| (format!("{}{suffix}", about.name), about)));
    }
    series
}

/// The metrics of this system that a text names.
fn mentions(text: &str) -> Vec<Mention> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.match_indices("ragline_").filter(|(at, _)| !text[..*at].ends_with(is_name));
    let mention = |(at, _): (usize, &str)| {
        let rest = &text[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let pair = |label: &str| {
            let (name, value) = label.split_once(['=', '!'])?;
            Some((name.trim().to_owned(), value.trim_matches(['=', '~', '"', '\\']).to_owned()))
        };
        (name.to_owned(), labels.split(',').filter_map(pair).collect())
    };
    starts.map(mention).collect()
}

fn faults_of(file: &str) -> Vec<String> {
    let (series, mut faults) = (series(), Vec::new());
    let found = mentions(&data::project_file(file));
    assert!(found.len() > 5, "{file} is read");
    for (name, labels) in found {
        let Some(about) = series.get(&name) else {
            faults.push(format!("{file} names {name}"));
            continue;
        };
        for (label, value) in labels {
            // Prometheus adds who was asked, and a bucket has a bound.
            let known =
                about.labels.contains(&&*label) || label == "instance" || (label == "le" && name.ends_with("_bucket"));
            let possible = about.values.is_empty() || value.split('|').all(|value| about.values.contains(&value));
            if !known || !possible {
                faults.push(format!("{file} names {name} with {label} {value}"));
            }
        }
    }
    faults
}

#[test]
fn no_query_is_for_a_metric_or_a_label_that_does_not_exist() {
    let files = ["ops/grafana/prometheus.json", "ops/prometheus/rules.yml", "ops/prometheus/rules_test.yml"];
    let faults: Vec<_> = files.into_iter().flat_map(faults_of).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_wrong_name_label_or_value_would_be_found() {
    let found = mentions("sum(rate(ragline_door_denied_total{policy=~\"ip|user\"}[5m])) + my_ragline_x / ragline_y");
    let labels = vec![("policy".to_owned(), "ip|user".to_owned())];
    assert_eq!(found, [("ragline_door_denied_total".to_owned(), labels), ("ragline_y".to_owned(), Vec::new())]);
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let (series, dashboard) = (series(), data::project_file("ops/grafana/prometheus.json"));
    let shown: BTreeSet<_> = mentions(&dashboard).into_iter().map(|(name, _)| series[&name].name).collect();
    let known: BTreeSet<_> = series.values().map(|about| about.name).collect();
    assert_eq!(shown, known);
    let dashboard = data::project_file("ops/grafana/cloudwatch.json");
    let unseen = metrics::cloudwatch().into_iter().map(|metric| format!("\"{}\"", metric.name));
    let unseen: Vec<_> = unseen.filter(|name| !dashboard.contains(name)).collect();
    assert!(unseen.is_empty(), "{unseen:?} cost money and are shown nowhere");
}

#[test]
fn each_alert_has_a_runbook_and_a_test() {
    let (rules, tests) =
        (data::project_file("ops/prometheus/rules.yml"), data::project_file("ops/prometheus/rules_test.yml"));
    let page = data::project_file("docs/OPERATIONS.md");
    let headings: BTreeSet<_> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_lowercase).collect();
    let value =
        |line: &'static str| move |text: &str| text.trim().strip_prefix(line).map(|rest| rest.trim().to_owned());
    let alerts: Vec<_> = rules.lines().filter_map(value("- alert:")).collect();
    let runbooks: Vec<_> = rules.lines().filter_map(value("runbook_url:")).collect();
    assert!(alerts.len() > 10 && alerts.len() == runbooks.len(), "{alerts:?} {runbooks:?}");
    for (alert, runbook) in alerts.iter().zip(runbooks) {
        let anchor =
            runbook.strip_prefix("docs/OPERATIONS.md#").unwrap_or_else(|| panic!("{alert} leads to {runbook}"));
        assert!(headings.contains(anchor), "{alert} leads to {runbook}");
        assert!(tests.matches(&format!("alertname: {alert}\n")).count() > 0, "nothing tries when {alert} goes off");
    }
}

#[test]
fn questions_to_the_log_are_about_lines_that_are_written() {
    let code: String =
        ["shared/src/http/boundary.rs", "functions/ingest/src/pipeline.rs", "functions/webhooks/src/lib.rs"]
            .map(data::project_file)
            .concat();
    let mut asked = 0;
    for name in ["documents", "failures", "webhooks"] {
        let query = data::project_file(&format!("ops/cloudwatch/queries/{name}.txt"));
        let filter = query.lines().find(|line| line.starts_with("filter")).unwrap();
        // Up to the first text that is no message.
        for message in filter.split("and").next().unwrap().split('"').skip(1).step_by(2) {
            asked += 1;
            assert!(code.contains(&format!(", \"{message}\")")), "{name} asks for {message}");
        }
    }
    assert_eq!(asked, 4);
}

#[test]
fn the_dashboard_and_the_alarms_of_the_template_show_what_functions_publish() {
    let (template, published) = (data::project_file("template.yaml"), metrics::cloudwatch());
    // Counted by filters of the log.
    let filtered = BTreeSet::from(["CacheLeftAlone".to_owned()]);
    let published: BTreeSet<_> = published.into_iter().map(|metric| metric.name).chain(filtered).collect();
    let body = template::dashboard_body();
    let widgets = body["widgets"].as_array().unwrap();
    let metrics = widgets.iter().flat_map(|widget| widget["properties"]["metrics"].as_array().unwrap());
    let shown: BTreeSet<_> = metrics
        .filter(|metric| metric[0].as_str().is_some_and(|namespace| namespace.starts_with("Ragline/")))
        .map(|metric| metric[1].as_str().unwrap().to_owned())
        .collect();
    assert!(shown.len() > 10, "{shown:?}");
    assert!(shown.is_subset(&published), "{:?} are published by nobody", shown.difference(&published));
    assert!(template.contains("METRICS_NAMESPACE: !Sub Ragline/${AWS::StackName}"), "functions publish them");
}
