//! Dashboards as Grafana imports them: <https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/>.

use serde_json::{Value, json};

/// Panels beside each other, in a grid that is 24 wide.
const COLUMNS: usize = 3;
const WIDTH: usize = 24 / COLUMNS;
const HEIGHT: usize = 7;

/// Curves over time.
pub(super) struct Panel {
    pub(super) title: &'static str,
    /// A unit of Grafana.
    pub(super) unit: &'static str,
    /// What is asked of the data source, but for its letter.
    pub(super) targets: Vec<Value>,
}

/// Panels under a heading.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: Vec<Panel>,
}

/// A dashboard over a kind of data source, with further variables.
pub(super) fn dashboard(uid: &str, title: &str, source: &str, variables: Vec<Value>, rows: Vec<Row>) -> Value {
    let mut list = vec![json!({ "type": "datasource", "name": "datasource", "label": "Data source", "query": source })];
    list.extend(variables);
    json!({
        "uid": uid,
        "title": title,
        "tags": ["ragline"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": list },
        "panels": panels(source, rows),
    })
}

fn panels(source: &str, rows: Vec<Row>) -> Vec<Value> {
    let (mut panels, mut y) = (Vec::new(), 0);
    for row in rows {
        let place = json!({ "x": 0, "y": y, "w": 24, "h": 1 });
        panels.push(json!({
            "type": "row", "id": panels.len() + 1, "title": row.title, "collapsed": false, "gridPos": place, "panels": [],
        }));
        y += 1;
        let lines = row.panels.len().div_ceil(COLUMNS);
        for (number, panel) in row.panels.into_iter().enumerate() {
            let (x, y) = (number % COLUMNS * WIDTH, y + number / COLUMNS * HEIGHT);
            panels.push(graph(source, panels.len() + 1, (x, y), panel));
        }
        y += lines * HEIGHT;
    }
    panels
}

fn graph(source: &str, id: usize, (x, y): (usize, usize), panel: Panel) -> Value {
    let source = json!({ "type": source, "uid": "${datasource}" });
    let targets = panel.targets.into_iter().zip('A'..).map(|(mut target, letter)| {
        target["refId"] = letter.to_string().into();
        target["datasource"] = source.clone();
        target
    });
    json!({
        "type": "timeseries",
        "id": id,
        "title": panel.title,
        "gridPos": { "x": x, "y": y, "w": WIDTH, "h": HEIGHT },
        "datasource": source,
        "fieldConfig": {
            "defaults": { "unit": panel.unit, "min": 0, "custom": { "lineWidth": 1, "fillOpacity": 10, "showPoints": "never" } },
            "overrides": [],
        },
        "options": {
            "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": targets.collect::<Vec<_>>(),
    })
}
