//! The table of all metrics in the documentation.

use std::fmt::Write;

use shared::metrics;

const BEGIN: &str = "<!-- metrics: as `make dashboards` writes them -->\n";
const END: &str = "<!-- end of metrics -->\n";

/// A page with its table as the list has it.
pub(super) fn within(page: &str) -> String {
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    format!("{before}{BEGIN}{}{END}{after}", table())
}

fn table() -> String {
    let mut table = "| metric | by | | in CloudWatch |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in metrics::ALL {
        let about = metric.about();
        let help = about.help.trim_ascii().trim_end_matches('.');
        let by = about.labels.join(", ");
        let published: Vec<_> =
            metrics::published(about).into_iter().map(|metric| format!("`{}`", metric.name)).collect();
        writeln!(table, "| `{}` | {by} | {help} | {} |", about.name, published.join(" ")).unwrap();
    }
    table
}
