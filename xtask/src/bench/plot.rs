//! Horizontal bars as SVG, readable on light and dark ground.

use std::fmt::Write as _;

/// In which colour a bar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Plain,
    Marked,
    Faint,
}

/// One bar, with what stands behind it.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) label: String,
    /// `None` for what was not measured.
    pub(super) length: Option<f64>,
    /// From where to where a thin line is drawn over it.
    pub(super) spread: Option<[f64; 2]>,
    pub(super) text: String,
    pub(super) colour: Colour,
}

impl Bar {
    /// How far to the right something of it is drawn.
    fn reach(&self) -> f64 {
        let high = self.spread.map_or(0.0, |[_, high]| high);
        self.length.unwrap_or(0.0).max(high)
    }
}

/// Bars under a heading.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// Groups over one axis, which begins at zero.
#[derive(Debug)]
pub(super) struct Panel {
    /// What stands below the axis.
    pub(super) unit: String,
    /// Where a line stands for what is wanted.
    pub(super) mark: Option<f64>,
    pub(super) groups: Vec<Group>,
}

const AXIS: f64 = 480.0;
const RIGHT: f64 = 190.0;
const ROW: f64 = 18.0;
const HEAD: f64 = 26.0;
const TOP: f64 = 40.0;
const FOOT: f64 = 48.0;
/// A character of a label, on average, with room to spare.
const CHARACTER: f64 = 6.8;

const STYLE: &str = "text{font:12px sans-serif;fill:#222}.h{font-weight:bold}.t{font-size:15px;font-weight:bold}\
.g{stroke:#8888;stroke-width:1}.b{fill:#3b76c4}.m{fill:#c9772b}.f{fill:#999}.k{stroke:#222;stroke-width:2}\
.s{stroke:#222;stroke-width:1.5;opacity:.6}.p{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.b{fill:#6ba0e8}.m{fill:#e29a55}.f{fill:#777}.k,.s{stroke:#eee}.p{fill:#16181c}}";

/// The picture: panels below each other.
pub(super) fn svg(title: &str, panels: &[Panel]) -> String {
    let groups = || panels.iter().flat_map(|panel| &panel.groups);
    let longest = groups()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.label.chars().count())
        .max()
        .unwrap_or(0);
    let left = (longest as f64 * CHARACTER + 24.0).max(160.0).round();
    let width = left + AXIS + RIGHT;
    let height = TOP + panels.iter().map(|panel| body(panel) + FOOT).sum::<f64>();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\
         <title>{0}</title><style>{STYLE}</style><rect class=\"p\" width=\"100%\" height=\"100%\"/>\
         <text class=\"t\" x=\"12\" y=\"24\">{0}</text>\n",
        escape(title)
    );
    let mut top = TOP;
    for panel in panels {
        draw_panel(&mut out, panel, left, top);
        top += body(panel) + FOOT;
    }
    out.push_str("</svg>\n");
    out
}

/// How high a panel is without what stands below its axis.
fn body(panel: &Panel) -> f64 {
    let of = |group: &Group| HEAD + ROW * group.bars.len() as f64;
    panel.groups.iter().map(of).sum()
}

fn draw_panel(out: &mut String, panel: &Panel, left: f64, top: f64) {
    let most = panel
        .groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(Bar::reach)
        .fold(panel.mark.unwrap_or(0.0), f64::max);
    let step = step(most);
    let lines = (most / step).ceil().max(1.0);
    let scale = AXIS / (lines * step);
    let bottom = top + body(panel);
    for line in 0..=lines as usize {
        let value = line as f64 * step;
        let x = left + value * scale;
        let _ = writeln!(
            out,
            "<line class=\"g\" x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            (value * 1e4).round() / 1e4
        );
    }
    let mut y = top;
    for group in &panel.groups {
        let _ = writeln!(
            out,
            "<text class=\"h\" x=\"12\" y=\"{:.1}\">{}</text>",
            y + 18.0,
            escape(&group.title)
        );
        y += HEAD;
        for bar in &group.bars {
            draw_bar(out, bar, [left, y], scale, panel.mark);
            y += ROW;
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        left + AXIS / 2.0,
        bottom + 36.0,
        escape(&panel.unit)
    );
}

fn draw_bar(out: &mut String, bar: &Bar, [left, y]: [f64; 2], scale: f64, mark: Option<f64>) {
    let class = match bar.colour {
        Colour::Plain => "b",
        Colour::Marked => "m",
        Colour::Faint => "f",
    };
    let x = |value: f64| left + value * scale;
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{class}\" x=\"{left}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        left - 8.0,
        y + 13.0,
        escape(&bar.label),
        y + 3.0,
        bar.length.unwrap_or(0.0) * scale,
        ROW - 5.0,
        x(bar.reach().max(mark.unwrap_or(0.0))) + 6.0,
        y + 13.0,
        escape(&bar.text)
    );
    if let Some([low, high]) = bar.spread {
        let (middle, from, to) = (y + ROW / 2.0 + 0.5, x(low), x(high));
        let _ = writeln!(
            out,
            "<line class=\"s\" x1=\"{from:.1}\" y1=\"{middle:.1}\" x2=\"{to:.1}\" y2=\"{middle:.1}\"/>"
        );
    }
    if let Some(mark) = mark.map(x) {
        let _ = writeln!(
            out,
            "<line class=\"k\" x1=\"{mark:.1}\" y1=\"{y:.1}\" x2=\"{mark:.1}\" y2=\"{:.1}\"/>",
            y + ROW
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

    fn bar(length: Option<f64>) -> Bar {
        Bar {
            label: "a < b & c".to_owned(),
            length,
            spread: length.map(|length| [length / 2.0, length * 2.0]),
            text: "1 > 0".to_owned(),
            colour: Colour::Plain,
        }
    }

    fn panel(mark: Option<f64>, lengths: &[Option<f64>]) -> Panel {
        Panel {
            unit: "GB/s".to_owned(),
            mark,
            groups: vec![Group {
                title: "t".to_owned(),
                bars: lengths.iter().copied().map(bar).collect(),
            }],
        }
    }

    #[test]
    fn every_bar_is_drawn_and_text_is_escaped() {
        let picture = svg("x", &[panel(Some(2.0), &[Some(1.0), None])]);
        assert_eq!(picture.matches("<rect class=\"b\"").count(), 2);
        assert_eq!(picture.matches("<line class=\"k\"").count(), 2);
        assert_eq!(picture.matches("<line class=\"s\"").count(), 1);
        assert!(picture.contains("a &lt; b &amp; c") && !picture.contains("a < b"));
        assert!(picture.contains("1 &gt; 0"));
        assert!(picture.ends_with("</svg>\n"));
    }

    #[test]
    fn each_panel_has_an_axis_of_its_own() {
        let picture = svg("x", &[panel(None, &[Some(1.0)]), panel(None, &[Some(1e3)])]);
        // What is drawn furthest, the end of the spread, is at the end of either axis.
        let bars: Vec<&str> = picture
            .lines()
            .filter(|line| line.contains("<rect class=\"b\""))
            .collect();
        assert_eq!(bars.len(), 2);
        for bar in bars {
            assert!(bar.contains("width=\"240.0\""), "{bar}");
        }
    }

    #[test]
    fn lines_are_neither_few_nor_many() {
        for most in [0.03, 0.9, 1.0, 2.7, 4.2, 9.9, 57.0] {
            let lines = most / step(most);
            assert!((2.0..=10.0).contains(&lines), "{most}: {lines}");
        }
    }
}
