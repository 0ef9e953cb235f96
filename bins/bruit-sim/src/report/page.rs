use std::fmt::Write;

use super::plots::Plot;

const HEAD: &str = "\
<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Bruit: evaluation</title>
<style>
body { font-family: sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
figure { margin: 2.5rem 0 }
svg { max-width: 100%; height: auto }
code { overflow-wrap: anywhere; background: #f2f2f2; padding: 0.1rem 0.2rem }
</style>
</head>
<body>
<h1>Evaluation</h1>
<p>What networks of the shipped engines do in the simulator. The tables are in <code>docs/evaluation.md</code>; under each plot is the
command that prints its figures. This page needs nothing from any network.</p>
";

/// One page with all plots, which opens without a network.
pub(super) fn of(plots: &[Plot], is_quick: bool) -> String {
    let mut page = HEAD.to_owned();
    if is_quick {
        page.push_str("<p>Made with <code>--quick</code>: the largest networks are left out.</p>\n");
    }
    for plot in plots {
        let (title, text) = (escaped(&plot.title), escaped(&plot.text));
        let _ = writeln!(page, "<figure>\n<h2>{title}</h2>\n{}\n<figcaption>\n<p>{text}</p>", plot.svg.trim());
        for (scenario, seed, command) in &plot.sources {
            let (scenario, command) = (escaped(scenario), escaped(command));
            let _ = writeln!(page, "<p>Scenario {scenario}, seed {seed}: <code>{command}</code></p>");
        }
        page.push_str("</figcaption>\n</figure>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
