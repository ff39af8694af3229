//! Shapes of an SVG picture, with a white ground so that it can be read on any page.

/// A picture under construction.
#[derive(Debug)]
pub(super) struct Picture {
    width: f64,
    height: f64,
    shapes: String,
}

/// Where a text is relative to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// What is written small, normal, or as a heading.
pub(super) const SMALL: f64 = 10.0;
pub(super) const NORMAL: f64 = 12.0;
pub(super) const HEADING: f64 = 15.0;
/// Colours that the colour-blind can tell apart (Okabe and Ito's).
pub(super) const COLOURS: [&str; 6] = ["#999999", "#e69f00", "#d55e00", "#56b4e9", "#0072b2", "#cccccc"];
pub(super) const INK: &str = "#222222";
pub(super) const FAINT: &str = "#dddddd";

impl Picture {
    pub(super) fn new(width: f64) -> Self {
        Self { width, height: 0.0, shapes: String::new() }
    }

    /// Everything that is drawn is above this line.
    pub(super) fn grow_to(&mut self, height: f64) {
        self.height = self.height.max(height);
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), size: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.shapes += &format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{INK}\">{text}</text>\n"
        );
        self.grow_to(y + 10.0);
    }

    pub(super) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str, opacity: f64) {
        self.shapes += &format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" \
             fill-opacity=\"{opacity}\"/>\n"
        );
        self.grow_to(y + height + 10.0);
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.shapes += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\n",
            points.join(" ")
        );
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), colour: &str) {
        self.shapes += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n");
    }

    pub(super) fn finish(self) -> String {
        let Self { width, height, shapes } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"DejaVu Sans, Verdana, sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{shapes}</svg>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_as_high_as_what_is_in_it_and_escapes_text() {
        let mut picture = Picture::new(100.0);
        picture.text((5.0, 90.0), NORMAL, Anchor::Start, "a < b & c");
        let svg = picture.finish();
        assert!(svg.contains("height=\"100\""), "{svg}");
        assert!(svg.contains(">a &lt; b &amp; c<"), "{svg}");
    }
}
