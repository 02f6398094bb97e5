//! Horizontal bars as SVG, readable on light and dark ground.

use std::fmt::Write as _;

/// One bar, and the goal as a tick on it.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) goal: Option<f64>,
    /// Drawn in the second colour.
    pub(crate) marked: bool,
}

/// Bars under a heading.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

const LEFT: f64 = 545.0;
const RIGHT: f64 = 60.0;
const WIDTH: f64 = 1_135.0;
const ROW: f64 = 18.0;
const HEAD: f64 = 26.0;
const TOP: f64 = 40.0;
const FOOT: f64 = 48.0;

const STYLE: &str = "text{font:12px sans-serif;fill:#222}.h{font-weight:bold}.t{font-size:15px;font-weight:bold}\
.g{stroke:#8888;stroke-width:1}.b{fill:#3b76c4}.m{fill:#c9772b}.k{stroke:#222;stroke-width:2}.p{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.b{fill:#6ba0e8}.m{fill:#e29a55}.k{stroke:#eee}.p{fill:#16181c}}";

/// The picture. `unit` stands below the axis, which begins at zero.
pub(crate) fn svg(title: &str, unit: &str, groups: &[Group]) -> String {
    let bars = || groups.iter().flat_map(|group| &group.bars);
    let most = bars()
        .flat_map(|bar| [bar.value, bar.goal.unwrap_or(0.0)])
        .filter(|value| value.is_finite())
        .fold(0.0, f64::max);
    let step = step(most);
    let end = (most / step).ceil().max(1.0) * step;
    let scale = (WIDTH - LEFT - RIGHT) / end;
    let body: f64 = groups
        .iter()
        .map(|group| HEAD + ROW * group.bars.len() as f64)
        .sum();
    let (bottom, height) = (TOP + body, TOP + body + FOOT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>{0}</title><style>{STYLE}</style><rect class=\"p\" width=\"100%\" height=\"100%\"/>\
         <text class=\"t\" x=\"12\" y=\"24\">{0}</text>\n",
        escape(title)
    );
    let lines = (end / step).round() as usize;
    for line in 0..=lines {
        let value = line as f64 * step;
        let x = LEFT + value * scale;
        let _ = writeln!(
            out,
            "<line class=\"g\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            (value * 100.0).round() / 100.0
        );
    }
    let mut y = TOP;
    for group in groups {
        let _ = writeln!(
            out,
            "<text class=\"h\" x=\"12\" y=\"{:.1}\">{}</text>",
            y + 18.0,
            escape(&group.title)
        );
        y += HEAD;
        for bar in &group.bars {
            draw(&mut out, bar, y, scale);
            y += ROW;
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></svg>",
        LEFT + end * scale / 2.0,
        bottom + 36.0,
        escape(unit)
    );
    out
}

fn draw(out: &mut String, bar: &Bar, y: f64, scale: f64) {
    let length = if bar.value.is_finite() {
        bar.value * scale
    } else {
        0.0
    };
    let class = if bar.marked { "m" } else { "b" };
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{:.2}</text>",
        LEFT - 8.0,
        y + 13.0,
        escape(&bar.label),
        y + 3.0,
        ROW - 5.0,
        LEFT + length.max(bar.goal.unwrap_or(0.0) * scale) + 6.0,
        y + 13.0,
        bar.value
    );
    if let Some(goal) = bar.goal {
        let x = LEFT + goal * scale;
        let _ = writeln!(
            out,
            "<line class=\"k\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
            y + 1.0,
            y + ROW - 1.0
        );
    }
}

/// A round distance that makes four to ten lines.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf(most.max(1e-9).log10().floor());
    [0.1, 0.2, 0.5, 1.0]
        .map(|part| part * power)
        .into_iter()
        .find(|step| most / step <= 10.0)
        .unwrap_or(power)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_is_drawn_and_text_is_escaped() {
        let bar = |value, goal| Bar {
            label: "a < b & c".to_owned(),
            value,
            goal,
            marked: false,
        };
        let group = Group {
            title: "t".to_owned(),
            bars: vec![bar(1.0, None), bar(f64::NAN, Some(2.0))],
        };
        let picture = svg("x", "GB/s", &[group]);
        assert_eq!(picture.matches("<rect class=\"b\"").count(), 2);
        assert_eq!(picture.matches("<line class=\"k\"").count(), 1);
        assert!(picture.contains("a &lt; b &amp; c") && !picture.contains("a < b"));
        assert!(picture.ends_with("</svg>\n"));
    }

    #[test]
    fn lines_are_neither_few_nor_many() {
        for most in [0.03, 0.9, 1.0, 2.7, 4.2, 9.9, 57.0] {
            let lines = most / step(most);
            assert!((2.0..=10.0).contains(&lines), "{most}: {lines}");
        }
    }
}
