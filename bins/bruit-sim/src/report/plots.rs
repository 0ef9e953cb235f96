use plotters::prelude::*;

use super::made::{Made, Row};

/// One plot, and the runs that it shows.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) text: String,
    /// Scenario, seed and command.
    pub(super) sources: Vec<(String, u64, String)>,
    pub(super) svg: String,
}

struct Chart {
    id: &'static str,
    title: &'static str,
    text: &'static str,
    axes: [&'static str; 2],
    lines: fn(&Made) -> Vec<Line>,
}

type Line = (String, Vec<(f64, f64)>);

const CHARTS: [Chart; 14] = [
    Chart {
        id: "policies",
        title: "Coverage by round",
        text: "1,000 nodes.",
        axes: ["round", "share of nodes"],
        lines: |made| curves(made, "coverage_by_round", 12),
    },
    Chart {
        id: "policies",
        title: "Deliveries by time",
        text: "1,000 nodes.",
        axes: ["ms", "share of nodes"],
        lines: |made| curves(made, "coverage_by_ms", 400),
    },
    Chart {
        id: "policies",
        title: "Redundancy by policy",
        text: "Copies per receiver, less one, against the size of the network.",
        axes: ["nodes", "redundancy"],
        lines: |made| by_last(made, 1, 0, "redundancy"),
    },
    Chart {
        id: "policies",
        title: "Load of the busiest hundredth",
        text: "The 99th percentile of bytes a node sends, over the mean.",
        axes: ["nodes", "p99 over mean"],
        lines: load,
    },
    Chart {
        id: "spies",
        title: "Precision by share of spies",
        text: "By who told any spy first.",
        axes: ["share of spies", "precision"],
        lines: |made| by_last(made, 0, 1, "precision"),
    },
    Chart {
        id: "spies",
        title: "Recall by share of spies",
        text: "By who told any spy first.",
        axes: ["share of spies", "recall"],
        lines: |made| by_last(made, 0, 1, "recall"),
    },
    Chart {
        id: "spies",
        title: "Recall by the moments of hearing",
        text: "By least squares over the overlay.",
        axes: ["share of spies", "recall"],
        lines: |made| by_last(made, 0, 1, "recall_likelihood"),
    },
    Chart {
        id: "eavesdropper",
        title: "Recall of an eavesdropper",
        text: "By whom it saw telling of an item first.",
        axes: ["share of links tapped", "recall"],
        lines: |made| by_last(made, 0, 1, "recall_eavesdropper"),
    },
    Chart {
        id: "observers",
        title: "What observers know of the network",
        text: "The share of the live connections, by how many milliseconds lie between two exchanges of peers.",
        axes: ["seconds", "share known"],
        lines: |made| made.rows.iter().map(known).collect(),
    },
    Chart {
        id: "crash",
        title: "Survival by share of crashed",
        text: "Of the living, at once.",
        axes: ["share crashed", "share reached"],
        lines: |made| by_last(made, 1, 0, "coverage"),
    },
    Chart {
        id: "crash_large",
        title: "Survival by share of crashed, 10,000 nodes",
        text: "Of the living, at once; beside it what HyParView's authors publish (about).",
        axes: ["share crashed", "share reached"],
        lines: |made| {
            let mut lines = by_last(made, 1, 0, "coverage");
            lines.push(("HyParView, published".to_owned(), vec![(0.1, 1.0), (0.8, 1.0), (0.95, 0.9)]));
            lines
        },
    },
    Chart {
        id: "repair",
        title: "Survival with address books",
        text: "Of those that are left: at once, and after one and two rounds of dials.",
        axes: ["share crashed", "share reached"],
        lines: repaired,
    },
    Chart {
        id: "repair_large",
        title: "Survival with address books, 1,000 nodes",
        text: "Of those that are left: at once, and after one and two rounds of dials.",
        axes: ["share crashed", "share reached"],
        lines: repaired,
    },
    Chart {
        id: "growth",
        title: "Hops by size of the network",
        text: "The last hop.",
        axes: ["nodes", "hops"],
        lines: |made| vec![("fanout".to_owned(), points(made.rows.iter(), 0, "last_hop"))],
    },
];

/// All plots.
pub(super) fn all(made: &[Made]) -> anyhow::Result<Vec<Plot>> {
    let mut plots = Vec::new();
    for chart in &CHARTS {
        for made in made.iter().filter(|made| made.table.id == chart.id) {
            let svg = drawn(&heading(chart.title, made), chart.axes, &(chart.lines)(made))?;
            plots.push(plot(chart.title, chart.text, made, svg));
        }
    }
    for made in made.iter().filter(|made| made.table.id == "grown") {
        let title = "The overlay that whole nodes grew";
        if let Some(svg) = picture(&heading(title, made), made)? {
            plots.push(plot(
                title,
                "Nodes on a circle, by number; a line is a connection that one of both dialled.",
                made,
                svg,
            ));
        }
    }
    Ok(plots)
}

fn plot(title: &str, text: &str, made: &Made, svg: String) -> Plot {
    let sources = vec![(made.table.file.to_owned(), made.seed, made.command())];
    Plot { title: title.to_owned(), text: text.to_owned(), sources, svg }
}

fn heading(title: &str, made: &Made) -> String {
    format!("{title} ({}, seed {})", made.table.file, made.seed)
}

/// A figure of all rows against one of their values.
fn points<'a>(rows: impl Iterator<Item = &'a Row>, x: usize, figure: &str) -> Vec<(f64, f64)> {
    rows.filter_map(|row| Some((row.values.get(x)?.parse().ok()?, *row.printed.get(figure)?))).collect()
}

/// A line for each value of one key, with another on the axis.
fn by_last(made: &Made, name: usize, x: usize, figure: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in &made.rows {
        let Some(label) = row.values.get(name) else { continue };
        let point = points([row].into_iter(), x, figure);
        match lines.iter_mut().find(|(known, _)| known == label) {
            Some((_, line)) => line.extend(point),
            None => lines.push((label.clone(), point)),
        }
    }
    lines
}

/// What observers know after each time.
fn known(row: &Row) -> Line {
    let moments = row.printed.iter().filter_map(|(name, share)| {
        let secs = name.strip_prefix("graph_known_after_")?.strip_suffix('s')?;
        Some((secs.parse().ok()?, *share))
    });
    let mut moments: Vec<(f64, f64)> = std::iter::once((0.0, 0.0)).chain(moments).collect();
    moments.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    (row.values.first().cloned().unwrap_or_default(), moments)
}

/// A line for each figure of the table that is a share.
fn repaired(made: &Made) -> Vec<Line> {
    let figures = made.table.figures.iter().filter(|figure| figure.starts_with("prompt_"));
    figures.map(|figure| ((*figure).to_owned(), points(made.rows.iter(), 0, figure))).collect()
}

fn load(made: &Made) -> Vec<Line> {
    let mut most = by_last(made, 1, 0, "bytes_per_node_p99");
    let means = by_last(made, 1, 0, "bytes_per_node_mean");
    for ((_, line), (_, means)) in most.iter_mut().zip(means) {
        line.iter_mut().zip(means).for_each(|(point, (_, mean))| point.1 /= mean.max(1.0));
    }
    most
}

/// The curves of the rows of the last size.
fn curves(made: &Made, figure: &str, steps: usize) -> Vec<Line> {
    let size = made.rows.last().and_then(|row| row.values.first());
    let rows = made.rows.iter().filter(|row| row.values.first() == size);
    rows.map(|row| {
        let curve = row.figures.curve(figure);
        let last = curve.last().copied().unwrap_or(0.0);
        let shares = (0..=steps).map(|step| (step as f64, curve.get(step).copied().unwrap_or(last)));
        (row.values.last().cloned().unwrap_or_default(), shares.collect())
    })
    .collect()
}

fn drawn(title: &str, [x, y]: [&str; 2], lines: &[Line]) -> anyhow::Result<String> {
    let mut svg = String::new();
    let points = || lines.iter().flat_map(|(_, line)| line);
    let right = points().map(|(x, _)| *x).fold(0.0, f64::max).max(1e-9);
    let top = points().map(|(_, y)| *y).fold(0.0, f64::max).max(1e-9) * 1.05;
    {
        let root = SVGBackend::with_string(&mut svg, (900, 480)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..right, 0.0..top)?;
        chart.configure_mesh().x_desc(x).y_desc(y).draw()?;
        for (number, (label, line)) in lines.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            chart
                .draw_series(LineSeries::new(line.iter().copied(), color.stroke_width(2)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        root.present()?;
    }
    Ok(svg)
}

/// The first overlay that nodes grew.
fn picture(title: &str, made: &Made) -> anyhow::Result<Option<String>> {
    let Some(overlay) = made.rows.iter().find_map(|row| row.overlay.as_ref()) else { return Ok(None) };
    let place = |node: u32| {
        let angle = std::f64::consts::TAU * f64::from(node) / f64::from(overlay.nodes().max(1));
        (450 + (angle.cos() * 260.0).round() as i32, 315 + (angle.sin() * 260.0).round() as i32)
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (900, 600)).into_drawing_area();
        root.draw(&Text::new(title.to_owned(), (250, 10), ("sans-serif", 18)))?;
        for (a, b) in overlay.edges() {
            root.draw(&PathElement::new([place(*a), place(*b)], BLUE.mix(0.12)))?;
        }
        for node in 0..overlay.nodes() {
            root.draw(&Circle::new(place(node), 4, BLACK.filled()))?;
        }
        root.present()?;
    }
    Ok(Some(svg))
}
