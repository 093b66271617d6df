//! The table: medians of each side, their ratio, and how far the runs of a side lie apart, which is the noise of the ratio.

use super::report::{Figure, READ, Report};

/// Between two columns of the table.
const GAP: &str = "  ";
/// How far the read kernel's speeds of all runs may lie apart, largest by smallest, on a device that is left alone.
const MAX_READ_SPREAD: f64 = 1.1;

/// The verified reports of one side.
#[derive(Debug)]
pub(super) struct Column {
    title: String,
    pub(super) reports: Vec<Report>,
}

/// One figure of one side over its runs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Summary {
    median: f64,
    /// Largest by smallest; none of a single run.
    spread: Option<f64>,
}

impl Column {
    pub(super) fn new(title: &str) -> Column {
        Column {
            title: title.to_owned(),
            reports: Vec::new(),
        }
    }

    fn figures(&self) -> Vec<Figure> {
        self.reports.iter().flat_map(Report::figures).collect()
    }
}

/// The table of one side, or of the working tree and another commit with ratios of the first to the second.
pub(super) fn table(columns: &[Column]) -> String {
    let figures: Vec<Vec<Figure>> = columns.iter().map(Column::figures).collect();
    let names = names(&figures);
    let mut cells = vec![titles(columns)];
    for name in &names {
        let sides: Vec<Option<Summary>> = figures.iter().map(|all| summary(all, name)).collect();
        cells.push(row(name, &sides));
    }
    let mut lines = head(columns);
    lines.extend(aligned(&cells));
    lines.extend(alone(columns, &figures, &names));
    lines.extend(unsteady(&figures));
    lines.join("\n") + "\n"
}

/// A word about other work on the device. The spreads alone may miss it, since it can last for the runs of one side.
fn unsteady(figures: &[Vec<Figure>]) -> Option<String> {
    let spread = summary(&figures.concat(), READ)?.spread?;
    (spread > MAX_READ_SPREAD).then(|| {
        format!(
            "the device was not steady: its read kernel was {spread:.2} times as fast in one run as in another; nothing \
             else should run beside a comparison, and more --rounds help"
        )
    })
}

/// What ran where. Kernel variants may differ between commits, so each side's device is told unless all are the same.
fn head(columns: &[Column]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut devices: Vec<(&str, &Report)> = Vec::new();
    for column in columns {
        for report in &column.reports {
            if !devices
                .iter()
                .any(|(_, known)| known.device() == report.device())
            {
                devices.push((&column.title, report));
            }
        }
    }
    for (title, report) in &devices {
        lines.push(match devices.len() {
            1 => format!("device  {}", report.device()),
            _ => format!("device  {} ({title})", report.device()),
        });
    }
    if let Some((_, report)) = devices.first() {
        lines.push(format!("model   {}", report.model()));
        if report.is_software() {
            lines.push("        a software adapter: its times say nothing about a GPU".to_owned());
        }
    }
    if let [first, second] = columns {
        lines.push(format!(
            "ratio   {} / {}: of a rate more than 1 is faster, of a time less",
            first.title, second.title
        ));
    }
    let runs: Vec<String> = columns
        .iter()
        .map(|column| column.reports.len().to_string())
        .collect();
    lines.push(format!(
        "spread  largest / smallest of a side's runs ({}): a ratio is not more exact than this",
        runs.join(" and ")
    ));
    lines
}

fn titles(columns: &[Column]) -> Vec<String> {
    let mut cells = vec![String::new()];
    cells.extend(columns.iter().map(|column| column.title.clone()));
    if columns.len() == 2 {
        cells.push("ratio".to_owned());
    }
    cells.extend(columns.iter().map(|_| "spread".to_owned()));
    cells
}

fn row(name: &str, sides: &[Option<Summary>]) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    cells.extend(
        sides
            .iter()
            .map(|side| text(side.map(|side| number(side.median)))),
    );
    if let [first, second] = sides {
        let ratio = first
            .zip(*second)
            .map(|(first, second)| first.median / second.median);
        cells.push(text(ratio.map(three_places)));
    }
    cells.extend(
        sides
            .iter()
            .map(|side| text(side.and_then(|side| side.spread).map(three_places))),
    );
    cells
}

/// Lines of cells, the first to the left and the others to the right of their columns.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |place: usize| {
        let lengths = rows
            .iter()
            .filter_map(|row| Some(row.get(place)?.chars().count()));
        lengths.max().unwrap_or(0)
    };
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(place, cell)| match place {
                    0 => format!("{cell:<width$}", width = width(0)),
                    _ => format!("{cell:>width$}", width = width(place)),
                })
                .collect();
            cells.join(GAP)
        })
        .collect()
}

/// What only one side reports: a kernel of another name, or a default that has changed. It has no ratio.
fn alone(columns: &[Column], figures: &[Vec<Figure>], names: &[&str]) -> Vec<String> {
    let has = |side: &[Figure], name: &str| side.iter().any(|figure| figure.name == name);
    let mut lines = Vec::new();
    if columns.len() < 2 {
        return lines;
    }
    for (index, column) in columns.iter().enumerate() {
        let own: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| {
                let others = figures.iter().enumerate();
                has(&figures[index], name)
                    && others
                        .filter(|(other, _)| *other != index)
                        .all(|(_, side)| !has(side, name))
            })
            .collect();
        if !own.is_empty() {
            lines.push(format!("only {} reports: {}", column.title, own.join("; ")));
        }
    }
    lines
}

/// Every name once, in the order of the first side's reports, then what only later ones have.
fn names(figures: &[Vec<Figure>]) -> Vec<&str> {
    let mut names = Vec::new();
    for figure in figures.iter().flatten() {
        if !names.contains(&figure.name.as_str()) {
            names.push(figure.name.as_str());
        }
    }
    names
}

fn summary(figures: &[Figure], name: &str) -> Option<Summary> {
    let mut values: Vec<f64> = figures
        .iter()
        .filter(|figure| figure.name == name)
        .map(|figure| figure.value)
        .collect();
    values.sort_by(f64::total_cmp);
    let (smallest, largest) = (*values.first()?, *values.last()?);
    // Of an even number of runs the mean of the two in the middle.
    let middle = (values[values.len() / 2] + values[(values.len() - 1) / 2]) / 2.0;
    Some(Summary {
        median: middle,
        spread: (values.len() > 1).then(|| largest / smallest),
    })
}

fn text(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

fn three_places(value: f64) -> String {
    format!("{value:.3}")
}

/// About four digits that count.
fn number(value: f64) -> String {
    match value {
        1000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.1}"),
        10.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;

    /// A column whose reports have one kernel each, of this name and so many microseconds.
    fn column(title: &str, kernel: &str, micros: &[f64]) -> Column {
        let mut column = Column::new(title);
        for micros in micros {
            let text = format!(
                r#"{{"device":"card driver","adapter":"card","model":"m","verified":true,
                "decode":[{{"context":16,"tokens_per_second":{rate}}}],
                "kernels":[{{"phase":"decode","name":"{kernel}","seconds":{seconds}}}]}}"#,
                rate = 1000.0 / micros,
                seconds = micros * 1e-6,
            );
            column.reports.push(report::parse(&text).unwrap());
        }
        column
    }

    #[test]
    fn medians_ratios_and_spreads() {
        let text = table(&[
            column("working tree", "qkv", &[8.0, 10.0]),
            column("abc", "qkv", &[20.0, 20.0]),
        ]);
        assert_eq!(
            text,
            "device  card driver\n\
             model   m\n\
             ratio   working tree / abc: of a rate more than 1 is faster, of a time less\n\
             spread  largest / smallest of a side's runs (2 and 2): a ratio is not more exact than this\n\
             \x20                         working tree    abc  ratio  spread  spread\n\
             decode tokens/s at 16            112.5  50.00  2.250   1.250   1.000\n\
             decode: us a step in qkv         9.000  20.00  0.450   1.250   1.000\n"
        );
    }

    #[test]
    fn what_one_side_lacks_has_no_ratio_and_is_told() {
        let text = table(&[column("tree", "new", &[2.0]), column("abc", "old", &[4.0])]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            text.contains("decode: us a step in new  2.000      -      -       -       -\n"),
            "{text}"
        );
        assert!(
            text.contains("decode: us a step in old      -  4.000      -       -       -\n"),
            "{text}"
        );
        assert_eq!(
            lines[lines.len() - 2..],
            [
                "only tree reports: decode: us a step in new",
                "only abc reports: decode: us a step in old"
            ]
        );
    }

    #[test]
    fn one_side_alone_has_no_ratios() {
        let text = table(&[column("tree", "qkv", &[2.0, 2.0, 3.0])]);
        assert!(
            text.ends_with("decode: us a step in qkv  2.000   1.500\n"),
            "{text}"
        );
        assert!(
            !text.contains("ratio   ") && !text.contains("only"),
            "{text}"
        );
    }

    #[test]
    fn devices_that_differ_are_both_told() {
        let mut other = Column::new("abc");
        other.reports.push(report::example("card2"));
        let text = table(&[column("tree", "qkv", &[1.0]), other]);
        assert!(
            text.starts_with("device  card driver (tree)\ndevice  card2 driver (abc)\n"),
            "{text}"
        );
    }

    #[test]
    fn other_work_on_the_device_is_told() {
        let read = |value| {
            vec![Figure {
                name: READ.to_owned(),
                value,
            }]
        };
        assert_eq!(unsteady(&[read(100.0), read(105.0)]), None);
        assert_eq!(unsteady(&[Vec::new(), read(100.0)]), None);
        let told = unsteady(&[read(100.0), read(150.0)]).unwrap();
        assert!(told.contains("1.50 times"), "{told}");
    }

    #[test]
    fn medians_of_odd_and_even_numbers() {
        let figures = |values: &[f64]| -> Vec<Figure> {
            let figure = |value: &f64| Figure {
                name: "x".to_owned(),
                value: *value,
            };
            values.iter().map(figure).collect()
        };
        for (values, expected) in [
            (&[][..], None),
            (&[3.0], Some((3.0, None))),
            (&[3.0, 1.0], Some((2.0, Some(3.0)))),
            (&[4.0, 1.0, 2.0], Some((2.0, Some(4.0)))),
        ] {
            let expected = expected.map(|(median, spread)| Summary { median, spread });
            assert_eq!(summary(&figures(values), "x"), expected, "{values:?}");
        }
        assert_eq!(summary(&figures(&[1.0]), "y"), None);
    }

    #[test]
    fn numbers_keep_four_digits() {
        let texts = [12345.6, 123.456, 12.3456, 1.23456, 0.00123].map(number);
        assert_eq!(texts, ["12346", "123.5", "12.35", "1.235", "0.001"]);
    }
}
