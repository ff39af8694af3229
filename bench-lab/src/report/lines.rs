//! How costs grow, as a picture: a small panel for each cost, both axes in powers of ten.

use super::svg::{Anchor, COLOURS, FAINT, HEADING, NORMAL, Picture, SMALL};
use super::table::figure;
use crate::results::Results;
use crate::scale::Growth;

const COLUMNS: usize = 3;
const PANEL: (f64, f64) = (300.0, 220.0);
/// Around the drawing of a panel: left, top, right, bottom.
const MARGIN: [f64; 4] = [35.0, 42.0, 35.0, 32.0];
const TOP: f64 = 50.0;

/// Draws the lines. Returns them as SVG.
pub(super) fn draw(results: &Results) -> String {
    let mut picture = Picture::new(PANEL.0 * COLUMNS as f64);
    let panels = results.growth.iter().flat_map(|growth| (0..growth.costs.len()).map(move |cost| (growth, cost)));
    picture.text((20.0, 28.0), HEADING, Anchor::Start, "How costs grow (both axes logarithmic)");
    for (number, (growth, cost)) in panels.enumerate() {
        let (column, row) = (number % COLUMNS, number / COLUMNS);
        panel(&mut picture, (PANEL.0 * column as f64, TOP + PANEL.1 * row as f64), growth, cost);
    }
    picture.finish()
}

fn panel(picture: &mut Picture, (x, y): (f64, f64), growth: &Growth, cost: usize) {
    let points: Vec<_> = growth.rows.iter().filter_map(|(size, costs)| Some((*size, *costs.get(cost)?))).collect();
    let [left, top, right, bottom] = MARGIN;
    let (width, height) = (PANEL.0 - left - right, PANEL.1 - top - bottom);
    let across = Axis::over(points.iter().map(|(size, _)| *size as f64), x + left, width);
    // A cost that hardly changes shows as a line that hardly rises: at least two powers of ten are drawn.
    let up = Axis::decades(points.iter().map(|(_, cost)| *cost), y + top + height, -height);
    picture.text((x + left, y + 24.0), NORMAL, Anchor::Start, &format!("{} over {}", growth.costs[cost], growth.size));
    let floor = y + top + height;
    for decade in up.first..=up.last {
        let at = up.place(10_f64.powi(decade));
        picture.line(&[(x + left, at), (x + left + width, at)], FAINT, 1.0);
    }
    let places: Vec<_> = points.iter().map(|(size, cost)| (across.place(*size as f64), up.place(*cost))).collect();
    picture.line(&places, COLOURS[4], 2.0);
    for (&(at_x, at_y), (size, cost)) in places.iter().zip(&points) {
        picture.dot((at_x, at_y), COLOURS[4]);
        picture.text((at_x, at_y - 8.0), SMALL, Anchor::Middle, &figure(*cost));
        picture.text((at_x, floor + 16.0), SMALL, Anchor::Middle, &short(*size));
    }
    picture.grow_to(y + PANEL.1);
}

/// A logarithmic axis.
struct Axis {
    /// Powers of ten at its ends.
    first: i32,
    last: i32,
    /// Logarithms at its ends.
    low: f64,
    high: f64,
    start: f64,
    len: f64,
}

impl Axis {
    /// From the least to the greatest value.
    fn over(values: impl Iterator<Item = f64>, start: f64, len: f64) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = (low.max(1e-9).log10(), high.max(1e-9).log10());
        Self { first: low.floor() as i32, last: high.ceil() as i32, low, high: high.max(low + 1e-9), start, len }
    }

    /// From a power of ten to another, at least two further.
    fn decades(values: impl Iterator<Item = f64>, start: f64, len: f64) -> Self {
        let axis = Self::over(values.map(|value| value.max(0.01)), start, len);
        let last = axis.last.max(axis.first + 2);
        Self { last, low: f64::from(axis.first), high: f64::from(last), ..axis }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(0.01).log10() - self.low) / (self.high - self.low);
        self.start + share * self.len
    }
}

/// `4M`, `65k`: a size on an axis.
fn short(size: u64) -> String {
    match size {
        0..1000 => size.to_string(),
        1000..1_000_000 => format!("{}k", size / 1000),
        _ => format!("{}M", size / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_where_its_values_do() {
        let axis = Axis::over([10.0, 100.0, 1000.0].into_iter(), 50.0, 200.0);
        assert!((axis.place(10.0) - 50.0).abs() < 1e-6);
        assert!((axis.place(100.0) - 150.0).abs() < 1e-6);
        assert!((axis.place(1000.0) - 250.0).abs() < 1e-6);
    }

    #[test]
    fn a_flat_cost_is_drawn_over_two_powers_of_ten() {
        let axis = Axis::decades([20.0, 21.0].into_iter(), 0.0, 100.0);
        assert_eq!((axis.first, axis.last), (1, 3));
    }
}
